import type { HitRow, SessionRow } from '@millrace/shared'
import { LocalDays } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FilledStore, insertRows, openFilledStore } from './filled-store.fixture.ts'
import { parseQuery } from './parse-query.ts'
import { LAST_MS, randomSite } from './random-site.fixture.ts'
import { makeReport } from './report.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** Long enough that hits in the middle of it do not ask for their session. */
const PERIOD = { from: '2026-10-05', to: '2026-10-24' }
const FIRST_DAY = Date.parse(PERIOD.from) / DAY
const LAST_DAY = Date.parse(PERIOD.to) / DAY
const [HIT] = randomSite('any', 1, 1).hits
const [SESSION] = randomSite('any', 1, 1).sessions

interface Visit {
  readonly session: SessionRow
  readonly hits: readonly HitRow[]
}

/** A visit with a page view at each end of it; between the two the site moved from one zone to another. */
function makeVisit(site: string, n: number, start: number, end: number, [before, after]: readonly LocalDays[]): Visit {
  const own = { site, session_id: (n + 1).toString(16).padStart(16, '0'), is_bot: false }
  const hit = (time: number, zone: LocalDays, path: string): HitRow => ({
    ...HIT!,
    ...own,
    type: 'page_view',
    verdict: 'keep',
    time,
    day: zone.dayOf(time),
    path: `/${n}/${path}`,
  })
  const first = hit(start, before!, 'first')
  const last = { ...hit(end, after!, 'last'), previous_path: first.path, previous_ms: end - start }
  const exit = { exit_path: last.path, exit_at: end, exit_signal_at: 0, exit_depth: 0, pages_in_order: true }
  const counts = { page_views: 2, is_bounce: 0, version: 1, sign: 1 }
  return { session: { ...SESSION!, ...own, ...counts, ...exit, day: first.day, start, end }, hits: [first, last] }
}

/** Visits of all lengths at all hours around both ends of the period. */
function makeVisits(site: string, zones: readonly LocalDays[]): Visit[] {
  const starts = [FIRST_DAY, LAST_DAY + 1].flatMap((border) =>
    Array.from({ length: 33 }, (_, i) => border * DAY + (i - 20) * 3 * HOUR),
  )
  const spans = starts.flatMap((start) => [1, 4, 12, 23].map((hours) => ({ start, end: start + hours * HOUR })))
  return spans.map(({ start, end }, n) => makeVisit(site, n, start, end, zones))
}

const MOVES = [
  { site: 'stays', zones: ['Asia/Tokyo', 'Asia/Tokyo'] },
  { site: 'to-the-east', zones: ['America/New_York', 'Asia/Tokyo'] },
  { site: 'to-the-west', zones: ['Asia/Tokyo', 'America/New_York'] },
].map(({ site, zones }) => {
  const siteZone = zones[1]!
  return {
    site,
    siteZone,
    visits: makeVisits(
      site,
      zones.map((zone) => new LocalDays(zone)),
    ),
  }
})

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([])
  for (const { visits } of MOVES) {
    const rows = visits.flatMap(({ hits }) => hits)
    await insertRows(filled.store, 'hits_in', rows)
    await insertRows(
      filled.store,
      'sessions_in',
      visits.map(({ session }) => session),
    )
  }
})
afterAll(() => filled?.close())

const isOfPeriod = ({ day }: { readonly day: number }): boolean => day >= FIRST_DAY && day <= LAST_DAY

describe('the sessions of a period', () => {
  test.each(MOVES)('count under all of their pages, and no others under theirs: $site', async (move) => {
    const { site, siteZone, visits } = move
    const context = { nowMs: LAST_MS, siteZone, goals: [] }
    const query = { site, period: PERIOD, metrics: ['sessions'], dimensions: ['path'], limit: 1_000 }
    const { rows, source } = await makeReport(parseQuery(query, context), { store: filled.store, ...context })
    expect(source).toBe('hits_and_sessions')
    const inside = visits.filter(({ session }) => isOfPeriod(session))
    const expected = inside.flatMap(({ hits }) => hits.map(({ path }) => path))
    expect(rows.map(({ path }) => path).sort()).toEqual(expected.sort())
    expect(rows.every(({ sessions }) => sessions === 1)).toBe(true)
    // What makes it hard: one end of the visit is in the period, the other is not.
    const across = visits.filter(({ session, hits }) => hits.some((hit) => isOfPeriod(hit) !== isOfPeriod(session)))
    expect(across.length).toBeGreaterThan(20)
  })
})

describe('the pages of a period', () => {
  test.each(MOVES)('have the times that they were seen, dated by their own view: $site', async (move) => {
    const { site, siteZone, visits } = move
    const context = { nowMs: LAST_MS, siteZone, goals: [] }
    const query = { site, period: PERIOD, metrics: ['time_on_page'], dimensions: ['path'], limit: 1_000 }
    const { rows } = await makeReport(parseQuery(query, context), { store: filled.store, ...context })
    const zone = new LocalDays(siteZone)
    const seen = visits.filter(({ session }) => isOfPeriod({ day: zone.dayOf(session.start) }))
    const expected = seen.map(({ session, hits }) => [hits[0]!.path, session.end - session.start])
    expect(Object.fromEntries(rows.map((row) => [row.path, row.time_on_page]))).toEqual(Object.fromEntries(expected))
  })
})
