import type { HitRow, SessionRow } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FilledStore, openFilledStore } from '../filled-store.fixture.ts'
import { parseGoal } from '../goals.ts'
import { FIRST_MS, LAST_MS, randomSite, SITE_ZONE, seeded } from '../random-site.fixture.ts'
import { makeOwn } from './ask-report.ts'
import { OWN_REPORTS } from './list-reports.ts'
import { readReport } from './read-report.ts'

const NOW_MS = LAST_MS + 5 * 86_400_000
const blog = randomSite('blog', 400, 11)
const PERIOD = { from: FIRST_MS, to: LAST_MS + 86_400_000 }
const GOALS = [
  parseGoal('pricing', { type: 'page', path: '/pricing', value: 2 })!,
  parseGoal('buy', { name: 'Bought', type: 'event', event_name: 'buy', currency: 'EUR' })!,
  parseGoal('long', { type: 'duration', duration_ms: 1_800_000 })!,
]

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([blog, randomSite('shop', 60, 12)])
})
afterAll(() => filled?.close())

type Row = Record<string, unknown>
interface Answer {
  readonly rows: Row[]
  readonly [name: string]: unknown
}
async function ask(name: string, body: object, nowMs = NOW_MS): Promise<Answer> {
  const context = { nowMs, siteZone: SITE_ZONE, goals: GOALS }
  const report = OWN_REPORTS[name]!
  const asked = readReport(report, { site: 'blog', period: PERIOD, limit: 1_000, ...body }, context)
  return (await makeOwn(report, asked, context, filled.store)) as unknown as Answer
}

const kept = blog.hits.filter(({ verdict, is_bot }) => verdict === 'keep' && !is_bot)
const people = blog.sessions.filter(({ is_bot }) => !is_bot)
const hits = kept.filter(({ type }) => type !== 'engagement')
const bySession = (rows: readonly HitRow[]): HitRow[][] => groups(rows, (hit) => hit.session_id)
const inOrder = (rows: readonly HitRow[]): HitRow[] => rows.toSorted((a, b) => a.time - b.time || a.ko - b.ko)
const isInSession = ({ session_id }: HitRow): boolean => people.some((session) => session.session_id === session_id)

function groups<T>(rows: readonly T[], key: (row: T) => string): T[][] {
  const found = new Map<string, T[]>()
  for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row])
  return [...found.values()]
}
const distinct = (rows: readonly HitRow[], column: 'visitor_id' | 'session_id'): number =>
  new Set(rows.map((row) => row[column])).size
const tally = (values: readonly string[]): Record<string, number> =>
  Object.fromEntries(groups(values, (value) => value).map((same) => [same[0]!, same.length]))
const asTally = (rows: readonly Row[], key: string, count: string): Record<string, number> =>
  Object.fromEntries(rows.map((row) => [row[key] as string, row[count] as number]))

interface Step {
  readonly path?: string
  readonly event_name?: string
}
const fits = (hit: HitRow, { path, event_name }: Step): boolean =>
  path === undefined
    ? hit.type === 'event' && hit.event_name === event_name
    : hit.type === 'page_view' && hit.path === path

/** How far the best chain of hits gets, tried from every first step. */
function furthest(all: readonly HitRow[], steps: readonly Step[], order: string, windowMs: number): number {
  const from = (at: number, step: number, startedAt: number): number => {
    if (step === steps.length) return step
    let best = step
    for (let i = at + 1; i < all.length; i++) {
      const hit = all[i]!
      if (hit.time - startedAt > windowMs) break
      if (fits(hit, steps[step]!)) best = Math.max(best, from(i, step + 1, startedAt))
      if (order === 'strict') break
    }
    return best
  }
  return Math.max(0, ...all.map((hit, i) => (fits(hit, steps[0]!) ? from(i, 1, hit.time) : 0)))
}

describe('a funnel', () => {
  const random = seeded(3)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const STEPS: Step[] = [
    { path: '/' },
    { path: '/pricing' },
    { path: '/docs' },
    { event_name: 'buy' },
    { event_name: 'signup' },
  ]
  const cases = Array.from({ length: 24 }, () => ({
    steps: Array.from({ length: 2 + Math.floor(random() * 2) }, () => pick(STEPS)),
    order: pick(['loose', 'strict']),
    across: pick(['session', 'visitor']),
    window_minutes: pick([10, 60, 1_440]),
  }))

  test.each(cases)(
    'of $steps, $order, across a $across, within $window_minutes min equals a plain recount',
    async (one) => {
      const all = one.across === 'session' ? hits.filter(isInSession) : hits
      const units = one.across === 'session' ? bySession(all) : groups(all, (hit) => hit.visitor_id)
      const levels = units.map((unit) => furthest(inOrder(unit), one.steps, one.order, one.window_minutes * 60_000))
      const { rows } = await ask('funnel', one)
      expect(rows.map((row) => row.count)).toEqual(one.steps.map((_, i) => levels.filter((level) => level > i).length))
      expect(rows[1]).toMatchObject({ dropped: (rows[0]!.count as number) - (rows[1]!.count as number) })
    },
  )

  test('of chosen sessions counts no others', async () => {
    const steps = [{ path: '/' }, { path: '/docs' }]
    const chosen = bySession(hits.filter(isInSession)).filter((all) => all.some(({ path }) => path === '/pricing'))
    const levels = chosen.map((unit) => furthest(inOrder(unit), steps, 'loose', 86_400_000))
    const { rows } = await ask('funnel', { steps, filter: { dimension: 'path', is: ['/pricing'] } })
    expect(rows.map((row) => row.count)).toEqual([0, 1].map((i) => levels.filter((level) => level > i).length))
    expect(rows[1]!.count).toBeGreaterThan(0)
  })

  test.each<[object, string[]]>([
    [{}, ['/steps']],
    [{ steps: [{ path: '/' }] }, ['/steps']],
    [{ steps: [{ path: '/' }, {}], order: 'any', colour: 1 }, ['/colour', '/order']],
    [{ steps: [{ path: '/' }, {}] }, ['/steps/1/path']],
    [{ steps: [{ path: '/' }, { filter: { dimension: 'colour', is: 'x' } }] }, ['/steps/1/filter/dimension']],
    [{ steps: [{ path: '/' }, { path: 3 }], period: '8d' }, ['/period', '/steps/1/path']],
    [
      { steps: [{ path: '/' }, { filter: { dimension: 'path', matches: ['/a', '('] } }] },
      ['/steps/1/filter/matches/1'],
    ],
  ])('of %j is refused with every mistake', async (body, pointers) => {
    const error = await ask('funnel', body).catch((thrown: unknown) => thrown)
    const { errors } = error as { errors: { pointer: string }[] }
    expect(errors.map(({ pointer }) => pointer).sort()).toEqual(pointers)
  })
})

describe('a journey', () => {
  test.each(['/', '/docs', "/o'clock\\n"])('from %s equals a plain recount', async (path) => {
    const before: string[] = []
    const after: string[] = []
    let seen = 0
    for (const session of bySession(hits.filter((hit) => hit.type === 'page_view' && isInSession(hit)))) {
      const views = inOrder(session)
      views.forEach((view, i) => {
        if (view.path !== path) return
        seen++
        before.push(views[i - 1]?.path ?? 'none')
        after.push(views[i + 1]?.path ?? 'none')
      })
    }
    const { none: entries, ...previous } = tally(before)
    const { none: exits, ...next } = tally(after)
    const found = await ask('journey', { path })
    expect(asTally(found.previous as Row[], 'path', 'page_views')).toEqual(previous)
    expect(asTally(found.next as Row[], 'path', 'page_views')).toEqual(next)
    expect(found.totals).toEqual({ page_views: seen, entries, exits })
  })
})

test('goals count conversions, visitors and value as a plain recount', async () => {
  const { rows, totals } = await ask('goals', {})
  const pricing = hits.filter((hit) => hit.type === 'page_view' && hit.path === '/pricing')
  const bought = hits.filter((hit) => hit.type === 'event' && hit.event_name === 'buy')
  const long = people.filter(({ duration_ms }) => duration_ms >= 1_800_000)
  const lasted = hits.filter((hit) => long.some((session) => session.session_id === hit.session_id))
  const visitors = distinct(hits, 'visitor_id')
  expect(totals).toEqual({ visitors })
  const rate = (of: readonly HitRow[]): number => distinct(of, 'visitor_id') / visitors
  const revenue = bought.reduce((sum, { value }) => sum + value, 0)
  expect(rows).toMatchObject([
    {
      goal: 'pricing',
      name: 'pricing',
      conversions: pricing.length,
      conversion_rate: rate(pricing),
      revenue: pricing.length * 2,
    },
    { goal: 'buy', name: 'Bought', conversions: bought.length, revenue: expect.closeTo(revenue, 6), currency: 'EUR' },
    { goal: 'long', conversions: distinct(lasted, 'session_id'), visitors: distinct(lasted, 'visitor_id'), revenue: 0 },
  ])
})

describe('event properties', () => {
  const bought = hits.filter((hit) => hit.type === 'event' && hit.event_name === 'buy')

  test('are listed with how often they come', async () => {
    const { rows } = await ask('event_properties', { event_name: 'buy' })
    const keys = bought.flatMap((hit) => [...Object.keys(hit.props_text), ...Object.keys(hit.props_number)])
    expect(asTally(rows, 'property', 'events')).toEqual(tally(keys))
  })

  test('of numbers are summed up', async () => {
    const { rows, summary } = await ask('event_properties', { event_name: 'buy', property: 'seats' })
    const seats = bought.flatMap((hit) => hit.props_number.seats ?? []).sort((a, b) => a - b)
    const sum = seats.reduce((a, b) => a + b, 0)
    const p = (level: number): number => seats[Math.floor(level * seats.length)]!
    const numbers = seats.length
    expect(summary).toMatchObject({ events: numbers, numbers, sum, average: expect.closeTo(sum / numbers, 9) })
    expect(summary).toMatchObject({
      min: seats[0],
      max: seats.at(-1),
      p50: p(0.5),
      p75: p(0.75),
      p95: p(0.95),
      p99: p(0.99),
    })
    expect(asTally(rows, 'value', 'events')).toEqual(tally(seats.map(String)))
  })

  test('of texts have no sum', async () => {
    const { summary } = await ask('event_properties', { event_name: 'buy', property: 'plan' })
    expect(summary).toMatchObject({ numbers: 0, sum: null, p95: null })
  })
})

test('tags are listed with the hits that carry them', async () => {
  const { rows } = await ask('tags', {})
  const tagged = hits.filter((hit) => hit.tags.section !== undefined)
  const page_views = tagged.filter(({ type }) => type === 'page_view').length
  expect(rows).toEqual([
    {
      tag: 'section',
      page_views,
      events: tagged.length - page_views,
      visitors: distinct(tagged, 'visitor_id'),
      tag_values: 2,
    },
  ])
})

describe('values', () => {
  test.each<[string, Record<string, number>]>([
    ['path', tally(hits.map((hit) => hit.path))],
    ['event_name', tally(hits.filter(({ type }) => type === 'event').map((hit) => hit.event_name))],
    ['exit_path', tally(people.map((session) => session.exit_path))],
    ['tags.section', tally(hits.flatMap((hit) => hit.tags.section ?? []))],
    ['props', tally(hits.flatMap((hit) => [...Object.keys(hit.props_text), ...Object.keys(hit.props_number)]))],
  ])('of %s are all there are', async (dimension, wanted) => {
    const { rows } = await ask('values', { dimension })
    expect(asTally(rows, 'value', 'count')).toEqual(wanted)
  })

  test('can be searched in any case of letters', async () => {
    const { rows } = await ask('values', { dimension: 'path', search: 'ÄÖ' })
    expect(rows.map((row) => row.value)).toEqual(['/äöü'])
  })

  test('of time are refused', async () => {
    await expect(ask('values', { dimension: 'hour' })).rejects.toMatchObject({ errors: [{ pointer: '/dimension' }] })
  })
})

describe('sessions', () => {
  const latestFirst = people.toSorted((a, b) => b.start - a.start || (a.session_id < b.session_id ? -1 : 1))
  const summary = ({ session_id, start, page_views, exit_path, is_bounce }: SessionRow): Row => ({
    session_id,
    start: new Date(start).toISOString(),
    page_views,
    exit_path,
    is_bounce,
  })

  test('come latest first, each as it is now, page by page', async () => {
    const found: Row[] = []
    for (let offset = 0; offset < latestFirst.length; offset += 100) {
      const { rows, row_count } = await ask('sessions', { limit: 100, offset })
      expect(row_count).toBe(latestFirst.length)
      found.push(...rows)
    }
    expect(found).toMatchObject(latestFirst.map(summary))
    expect(found).toHaveLength(latestFirst.length)
  })

  test('can be chosen by what they saw', async () => {
    const { rows } = await ask('sessions', { filter: { dimension: 'event_name', is: ['buy'] } })
    const bought = hits.filter(({ event_name }) => event_name === 'buy')
    const wanted = latestFirst.filter(({ session_id }) => bought.some((hit) => hit.session_id === session_id))
    expect(rows.map((row) => row.session_id)).toEqual(wanted.map(({ session_id }) => session_id))
  })

  test('can be followed step by step', async () => {
    const { session_id } = latestFirst.find(({ page_views }) => page_views > 2)!
    const { session, rows } = await ask('session', { session_id, period: 'all' })
    expect(session).toMatchObject(summary(latestFirst.find((one) => one.session_id === session_id)!))
    const steps = inOrder(kept.filter((hit) => hit.session_id === session_id))
    expect(rows).toMatchObject(
      steps.map(({ time, type, path, hit_id }) => ({ time: new Date(time).toISOString(), type, path, hit_id })),
    )
    expect(rows).toHaveLength(steps.length)
  })

  test('that do not exist are null', async () => {
    expect(await ask('session', { session_id: '00000000000000ff' })).toMatchObject({ session: null, rows: [] })
  })
})

test('realtime shows the last half hour: who is where, and each minute', async () => {
  const now = hits.filter(({ type }) => type === 'page_view').toSorted((a, b) => a.time - b.time)[200]!.time + 600_000
  const { rows, totals, series } = await ask('realtime', { minutes: 60 }, now)
  const toMs = Math.floor(now / 60_000 + 1) * 60_000
  const recent = inOrder(hits.filter(({ time }) => time < toMs && time >= toMs - 3_600_000))
  const views = recent.filter(({ type }) => type === 'page_view')
  expect(totals).toEqual({
    visitors: distinct(recent, 'visitor_id'),
    page_views: views.length,
    events: recent.length - views.length,
  })
  const last = groups(views, (hit) => hit.visitor_id).map((all) => all.at(-1)!.path)
  expect(asTally(rows, 'path', 'visitors')).toEqual(tally(last))
  const minutes = series as { minute: string; page_views: number }[]
  expect(minutes).toHaveLength(60)
  expect(minutes.map(({ page_views }) => page_views)).toEqual(
    minutes.map(
      ({ minute }) =>
        views.filter(({ time }) => new Date(time).toISOString().slice(0, 16) === minute.slice(0, 16)).length,
    ),
  )
  expect(views.length).toBeGreaterThan(0)
})
