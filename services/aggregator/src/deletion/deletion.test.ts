import { dateOfDay, type HitRow, NO_UUID, type SessionRow } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FilledStore, insertRows, openFilledStore } from '../query/filled-store.fixture.ts'
import { parseQuery } from '../query/parse-query.ts'
import { recountPlainly } from '../query/plain-recount.fixture.ts'
import { FIRST_MS, LAST_MS, randomSite, SITE_ZONE, seeded } from '../query/random-site.fixture.ts'
import { makeReport } from '../query/report.ts'
import type { RebuildPlan } from '../rebuild/plan.ts'
import { readOpen } from '../rebuild/progress.ts'
import { contentsOf, readContents } from '../rebuild/rebuilt.fixture.ts'
import { countRebuild, type Rebuild, rebuildSteps } from '../rebuild/steps.ts'
import { deletedRows } from './deleted.fixture.ts'
import { type Deletion, readAsked, readDeletions } from './deletions.ts'
import { dueDays, readDue } from './due.ts'
import { withoutHidden } from './hidden.ts'
import { hideSteps, previewDeletion, revokeSteps } from './hide.ts'

const DAY_MS = 86_400_000
const [FIRST, LAST] = [FIRST_MS / DAY_MS, LAST_MS / DAY_MS]
const other = randomSite('other', 20, 3)

let filled: FilledStore
let store: Store
let tools: { store: Store; deadline: () => null }
beforeAll(async () => {
  filled = await openFilledStore([other])
  store = filled.store
  tools = { store, deadline: () => null }
})
afterAll(() => filled?.close())

interface Site {
  readonly site: string
  readonly hits: HitRow[]
  readonly sessions: SessionRow[]
  /** As they are at last, without what was taken back. */
  readonly last: SessionRow[]
}

let sites = 0
/** A site of its own for each case, with engagement and referrers of its own pages. */
async function newSite(count: number): Promise<Site> {
  const site = `site-${++sites}`
  const random = seeded(sites)
  const made = randomSite(site, count, 40 + sites)
  // Ids of sessions are unique, whatever the site.
  const own = <Row extends { session_id: string }>(rows: readonly Row[]): Row[] =>
    rows.map((row) => ({
      ...row,
      session_id: BigInt(`0x${row.session_id}`) === 0n ? row.session_id : sites + row.session_id.slice(1),
    }))
  const [plain, signed, sessions] = [own(made.hits), own(made.signed), own(made.sessions)]
  const bounced = new Set(sessions.filter((session) => session.is_bounce === 1).map(({ session_id }) => session_id))
  const hits = plain.map(
    (hit, n): HitRow => ({
      ...hit,
      kp: sites,
      received_at: hit.time + Math.floor(random() * 3) * 1_000,
      engaged_ms: hit.type === 'engagement' ? Math.floor(random() * 20_000) : 0,
      // A visit with an interactive event is no bounce.
      interactive: hit.type === 'event' && random() < 0.3 && !bounced.has(hit.session_id),
      referrer: random() < 0.5 ? `https://${hit.hostname}${plain[Math.max(0, n - 1)]!.path}` : '',
    }),
  )
  await insertRows(store, 'hits_in', hits)
  await insertRows(
    store,
    'sessions_in',
    signed.filter(({ sign }) => sign === 1),
  )
  await insertRows(
    store,
    'sessions_in',
    signed.filter(({ sign }) => sign === -1),
  )
  return { site, hits, sessions: signed, last: sessions }
}

let ids = 0
const deletionOf = (site: string, filter: unknown, days?: [number, number]): Deletion => ({
  id: `d-${++ids}`,
  site,
  zone: 'UTC',
  fromMs: days ? days[0] * DAY_MS : 0,
  toMs: days ? (days[1] + 1) * DAY_MS : LAST_MS + 9 * DAY_MS,
  filter,
})

const COUNTS = { hits: 1, visitors: 1, sessions: 1 }

/** Sends the statements; ends before the one with this number as a crash would. */
async function run(steps: AsyncGenerator<string>, stopBefore = Number.POSITIVE_INFINITY): Promise<string[]> {
  const names: string[] = []
  for await (const name of steps) {
    if (names.length === stopBefore) break
    names.push(name)
  }
  return names
}

const hide = (deletion: Deletion) => run(hideSteps(tools, deletion, COUNTS, true))
const planOf = (site: string, from = FIRST - 4, to = LAST + 9): RebuildPlan => ({
  ...{ id: `r-${++ids}`, site, zone: SITE_ZONE, from, to, keepFrom: 0 },
})
async function rebuild(plan: RebuildPlan): Promise<void> {
  await run(rebuildSteps(tools, { plan, counts: await countRebuild(tools, plan), state: null }))
}

const SESSION_FIELDS = [
  ...['duration_ms', 'page_views', 'events', 'is_bounce', 'engaged_ms', 'hostname', 'entry_path', 'exit_path'],
  ...['exit_title', 'session_referrer', 'country', 'browser', 'is_bot'],
] as const
const HIT_FIELDS = ['entry_path', 'previous_path', 'previous_ms', 'referrer', 'path', 'browser'] as const

/** Single fields of what is shown, by position and by session. */
async function readRows(reading: Pick<Store, 'query'>, site: string): Promise<unknown> {
  const params = { site }
  const hits = await reading.query(
    `SELECT toUInt32(ko) AS ko, ${HIT_FIELDS.join(', ')} FROM millrace.hits WHERE site = {site:String} AND verdict = 'keep' ORDER BY ko`,
    { params },
  )
  const sessions = await reading.query(
    `SELECT lower(leftPad(hex(session_id), 16, '0')) AS session_id, ${SESSION_FIELDS.map((name) => `any(${name}) AS ${name}_`).join(', ')}
     FROM millrace.sessions WHERE site = {site:String} GROUP BY session_id, version HAVING sum(sign) > 0 ORDER BY session_id`,
    { params },
  )
  return { hits, sessions }
}

function rowsOf(hits: readonly HitRow[], sessions: readonly SessionRow[]): unknown {
  const kept = hits.filter(({ verdict }) => verdict === 'keep').sort((a, b) => a.ko - b.ko)
  return {
    hits: kept.map((hit) => ({ ko: hit.ko, ...Object.fromEntries(HIT_FIELDS.map((name) => [name, hit[name]])) })),
    sessions: sessions
      .toSorted((a, b) => (a.session_id < b.session_id ? -1 : 1))
      .map((row) => ({
        session_id: row.session_id,
        ...Object.fromEntries(SESSION_FIELDS.map((name) => [`${name}_`, row[name]])),
      })),
  }
}

/** The last state of each session. */
const lastOf = (rows: readonly SessionRow[]): SessionRow[] => [
  ...new Map(rows.filter(({ sign }) => sign === 1).map((row) => [row.session_id, row])).values(),
]

type Chooses = (hit: HitRow, site: Site) => boolean
const CASES: [string, unknown, Chooses, [number, number]?][] = [
  ['a page', { dimension: 'path', is: ['/admin'] }, ({ path }) => path === '/admin'],
  ['whole visits', { dimension: 'country', is: ['DE'] }, ({ country }) => country === 'DE'],
  [
    'all of the sessions that saw a page',
    { session: { dimension: 'path', is: ['/pricing'] } },
    (hit, { hits, last }) =>
      last.some(({ session_id }) => session_id === hit.session_id) &&
      hits.some(
        ({ session_id, path, verdict, type }) =>
          session_id === hit.session_id && path === '/pricing' && verdict === 'keep' && type !== 'engagement',
      ),
  ],
  [
    'some days',
    { not: { dimension: 'browser', is: ['Chrome'] } },
    ({ browser, time }) => browser !== 'Chrome' && time >= (FIRST + 3) * DAY_MS && time < (FIRST + 9) * DAY_MS,
    [FIRST + 3, FIRST + 8],
  ],
]

/** A later hit of a session that lost one, and its signed rows: taken back, and as the enricher knows it. */
async function continueSession(
  { hits, last }: Site,
  id: string,
  ko: number,
): Promise<{ hit: HitRow; session: SessionRow }> {
  const before = last.find(({ session_id }) => session_id === id)!
  const own = hits.filter(({ session_id, verdict }) => session_id === id && verdict === 'keep')
  const hit: HitRow = {
    ...own[0]!,
    ko,
    hit_id: `00000000-0000-4000-9000-${String(ko).padStart(12, '0')}`,
    type: 'page_view',
    path: '/later',
    page_id: NO_UUID,
    time: before.end + 1_000,
  }
  const session = { ...before, version: 9, end: hit.time, page_views: before.page_views + 1, exit_path: '/later' }
  await insertRows(store, 'hits_in', [hit])
  await insertRows(store, 'sessions_in', [session])
  return { hit, session }
}

describe('a deletion', { timeout: 240_000 }, () => {
  it.each(CASES)(
    'of %s is what a recount without these hits gives, hidden and when it is carried out',
    async (_, filter, chooses, days) => {
      const site = await newSite(40)
      const expected = deletedRows(site, (hit) => chooses(hit, site))
      expect(expected.hits.length).toBeLessThan(site.hits.length)
      expect(expected.sessions.length).toBeLessThan(site.sessions.length)
      const before = await readContents(store, site.site)
      await hide(deletionOf(site.site, filter, days))

      const shown = withoutHidden(store)
      const contents = contentsOf(expected, site.site)
      expect(await readContents(shown, site.site)).toEqual(contents)
      expect(await readRows(shown, site.site)).toEqual(rowsOf(expected.hits, lastOf(expected.sessions)))
      expect(await readContents(store, site.site), 'nothing is deleted yet').toEqual(before)
      const views = async () => {
        const [found] = await store.query<{ hits: number; sessions: number }>(
          `SELECT (SELECT count() FROM analytics.hits WHERE site = {site:String}) AS hits,
          (SELECT count() FROM analytics.sessions WHERE site = {site:String}) AS sessions`,
          { params: { site: site.site } },
        )
        return [Number(found!.hits), Number(found!.sessions)]
      }
      const kept = [expected.hits.filter(({ verdict }) => verdict === 'keep').length, lastOf(expected.sessions).length]
      expect(await views()).toEqual(kept)

      await rebuild(planOf(site.site))
      expect(await readContents(store, site.site)).toEqual(contents)
      expect(await readRows(store, site.site)).toEqual(rowsOf(expected.hits, lastOf(expected.sessions)))
      expect(await views()).toEqual(kept)
      expect(await store.query('SELECT 1 FROM millrace.hidden_hits')).toEqual([])
    },
  )

  it('leaves other sites alone', async () => {
    const others = contentsOf({ hits: other.hits, sessions: other.signed }, 'other')
    expect(await readContents(store, 'other')).toEqual(others)
    expect(await readContents(withoutHidden(store), 'other')).toEqual(others)
  })

  it('hides from every report, whichever table it is read from', async () => {
    const site = await newSite(60)
    const isChosen = ({ session_referrer, path }: HitRow): boolean => session_referrer !== '' || path === '/docs'
    const filter = {
      or: [
        { dimension: 'referrer', is_not: [''] },
        { dimension: 'path', is: ['/docs'] },
      ],
    }
    await hide(deletionOf(site.site, filter))
    const expected = deletedRows(site, isChosen)
    const plain = { hits: [...expected.hits], sessions: lastOf(expected.sessions), signed: [...expected.sessions] }
    const metrics = ['visitors', 'page_views', 'events', 'sessions', 'bounce_rate', 'time_on_page', 'entries', 'exits']
    for (const dimensions of [['day'], ['path'], ['country'], ['exit_path'], []]) {
      const body = { site: site.site, period: { from: '2026-10-18', to: '2026-11-06' }, metrics, dimensions }
      const query = parseQuery(body, { nowMs: LAST_MS, siteZone: SITE_ZONE })
      const { rows } = await makeReport(query, { store: withoutHidden(store), siteZone: SITE_ZONE, nowMs: LAST_MS })
      const { fromMs, toMs } = query.range!
      const counted = recountPlainly(
        { site: site.site, fromMs, toMs, timezone: SITE_ZONE, dimensions, filter: null, includeBots: false },
        plain,
      )
      const found = rows
        .filter((row) => metrics.some((name) => Number(row[name] ?? 0) !== 0))
        .map((row) => [dimensions.map((name) => row[name]).join('\t'), row] as const)
      const wanted = [...counted].filter(([, numbers]) => metrics.some((name) => (numbers[name] ?? 0) !== 0))
      expect(new Set(found.map(([key]) => key)), String(dimensions)).toEqual(new Set(wanted.map(([key]) => key)))
      for (const [key, row] of found) {
        for (const name of metrics) {
          const number = counted.get(key)![name] ?? null
          const said = row[name] as number | null
          if (number === null || said === null) expect(said, `${name} of ${key}`).toBe(number)
          else expect(said, `${name} of ${key}`).toBeCloseTo(number, 6)
        }
      }
    }
    const daily = parseQuery(
      {
        site: site.site,
        period: { from: '2026-10-18', to: '2026-11-06' },
        metrics: ['page_views'],
        dimensions: ['path'],
      },
      { nowMs: LAST_MS, siteZone: SITE_ZONE },
    )
    const report = await makeReport(daily, { store: withoutHidden(store), siteZone: SITE_ZONE, nowMs: LAST_MS })
    expect(report.source, 'a rollup answers too').toBe('daily_pages')
    expect(report.rows.map(({ path }) => path)).not.toContain('/docs')
  })

  it('leaves a session open for what comes later, and can be taken back while it only hides', async () => {
    const site = await newSite(20)
    const before = await readContents(store, site.site)
    const deletion = deletionOf(site.site, { dimension: 'path', is: ['/admin'] })
    await hide(deletion)
    const views = site.hits.filter(
      ({ path, verdict, type }) => path === '/admin' && verdict === 'keep' && type === 'page_view',
    )
    const id = views
      .map(({ session_id }) => session_id)
      .find((one) => site.last.some(({ session_id }) => session_id === one))!
    const { hit, session } = await continueSession(site, id, 777_777)
    const taken = site.sessions.filter(({ session_id }) => session_id === id)
    const after = { ...site, hits: [...site.hits, hit], sessions: [...site.sessions, session] }
    const expected = deletedRows(after, ({ path }) => path === '/admin')
    const found = (await readRows(withoutHidden(store), site.site)) as { sessions: { session_id: string }[] }
    expect(found.sessions.filter((row) => row.session_id === id)).toEqual(
      (rowsOf([], lastOf(expected.sessions)) as typeof found).sessions.filter((row) => row.session_id === id),
    )
    expect(taken.length).toBeGreaterThan(0)

    const [stored] = await readDeletions(store, site.site)
    expect(stored).toMatchObject({ deletion, state: 'hidden', counts: COUNTS })
    expect(stored!.waiting).toBeGreaterThan(0)
    await run(revokeSteps(tools, deletion, COUNTS))
    expect((await readDeletions(store, site.site))[0]).toMatchObject({ state: 'revoked', waiting: 0 })
    const again = await readContents(withoutHidden(store), site.site)
    for (const [name, n] of before) if (name.startsWith('hit|')) expect(again.get(name), name).toBe(n)
  })

  it('can be stopped before any statement, and continued', async () => {
    const site = await newSite(15)
    const filter = { dimension: 'event_name', is: ['buy', 'signup'] }
    const deletion = deletionOf(site.site, filter)
    const all = await run(hideSteps(tools, deletion, COUNTS, true), 1)
    for (let stop = 2; (await readAsked(store)).length > 0; stop++)
      all.push(...(await run(hideSteps(tools, deletion, COUNTS, false), stop)))
    expect(new Set(all)).toEqual(new Set(['record asked', 'show', 'let views look', 'hide', 'record hidden']))
    const expected = deletedRows(site, ({ type }) => type === 'event')
    expect(await readContents(withoutHidden(store), site.site)).toEqual(contentsOf(expected, site.site))

    const plan = planOf(site.site)
    let open: Rebuild | undefined = { plan, counts: await countRebuild(tools, plan), state: null }
    for (let stop = 3; open; stop += 4) {
      const before: Rebuild['state'] = open.state
      await run(rebuildSteps(tools, open), stop)
      open = (await readOpen(store))[0]
      if (open && open.state !== before) stop = -1
    }
    expect(await readContents(store, site.site)).toEqual(contentsOf(expected, site.site))
    expect((await readDeletions(store, site.site))[0]).toMatchObject({ state: 'hidden', waiting: 0 })
  })

  it('says beforehand what it takes, and nothing the second time', async () => {
    const site = await newSite(30)
    const deletion = deletionOf(site.site, { dimension: 'country', is: ['DE'] })
    const { days, totals } = await previewDeletion(store, deletion)
    const chosen = site.hits.filter(
      ({ country, verdict, type }) => country === 'DE' && verdict === 'keep' && type !== 'engagement',
    )
    const left = deletedRows(site, ({ country }) => country === 'DE')
    expect(totals).toEqual({
      rows: site.hits.length - left.hits.length,
      page_views: chosen.filter(({ type }) => type === 'page_view').length,
      events: chosen.filter(({ type }) => type === 'event').length,
      visitors: new Set(chosen.map(({ visitor_id }) => visitor_id)).size,
      sessions: new Set(chosen.filter(({ late }) => !late).map(({ session_id }) => session_id)).size,
      sessions_deleted: new Set(chosen.filter(({ late }) => !late).map(({ session_id }) => session_id)).size,
    })
    expect(new Set(days.map(({ date }) => date))).toEqual(new Set(chosen.map(({ day }) => dateOfDay(day))))
    await hide(deletion)
    expect((await previewDeletion(store, { ...deletion, id: 'again' })).totals.rows).toBe(0)
  })
})

describe('the views of what is shown', () => {
  it.each(['hits', 'sessions'])('have the columns of %s, so that nothing is left out of a rebuild', async (table) => {
    // How a text is kept does not matter: a view may read it as either.
    const columns = async (name: string) => {
      const rows = await store.query<{ name: string; type: string }>(
        `SELECT name, type FROM system.columns WHERE database = 'millrace' AND table = {name:String} ORDER BY position`,
        { params: { name } },
      )
      return rows.map((row) => `${row.name} ${row.type.replaceAll(/LowCardinality\((\w+)\)/g, '$1')}`)
    }
    const expected = await columns(table)
    expect(expected.length).toBeGreaterThan(40)
    expect(await columns(`shown_${table}`)).toEqual(expected)
    expect(await columns(`remade_${table}`)).toEqual(expected)
  })
})

describe('readDue', () => {
  it('waits for the days around what is hidden, and takes stretches of them', async () => {
    const groups = (site: string, ...days: number[]) => days.map((day) => ({ site, first: day, last: day }))
    expect(dueDays(groups('a', 10, 11, 40), 12)).toEqual([{ site: 'a', from: 8, to: 12 }])
    expect(dueDays(groups('a', 10, 11, 40), 13)).toEqual([{ site: 'a', from: 8, to: 13 }])
    expect(dueDays([...groups('a', 10, 11, 40), ...groups('b', 12)], 99)).toEqual([
      { site: 'a', from: 8, to: 13 },
      { site: 'a', from: 38, to: 42 },
      { site: 'b', from: 10, to: 14 },
    ])
    const long = dueDays(groups('a', ...Array.from({ length: 90 }, (_, i) => 100 + i)), 999)
    expect(long.length).toBeGreaterThan(2)
    expect(long.every(({ from, to }) => to - from <= 31)).toBe(true)
    expect(await readDue(store, 0)).toEqual([])
  })
})
