import type { Recount } from '@millrace/recount'
import type { Store } from '@millrace/store'
import type { Findings, Invariant } from './findings.ts'

interface Rollup {
  readonly invariant: Invariant
  /** How many of the first columns name the row; the rest are its values. */
  readonly keys: number
  readonly rollup: string
  readonly recount: string
}

/** Each rollup, and the same question to the table that it is made of. A sketch is compared with the same sketch. */
const ROLLUPS: readonly Rollup[] = [
  {
    invariant: 'I3 daily_hits equals a recount of hits',
    keys: 3,
    rollup: `SELECT toString(site) AS site, toString(day) AS date, is_bot, sum(page_views) AS page_views,
      sum(events) AS events, uniqCombined64Merge(14)(visitors) AS visitors
      FROM millrace.daily_hits WHERE site != '' GROUP BY ALL`,
    recount: `SELECT toString(site) AS site, toString(day) AS date, is_bot, countIf(type = 'page_view') AS page_views,
      countIf(type = 'event') AS events, uniqCombined64(14)(visitor_id) AS visitors
      FROM millrace.hits WHERE verdict = 'keep' AND type != 'engagement' GROUP BY ALL`,
  },
  {
    invariant: 'I3 daily_pages equals a recount of hits',
    keys: 5,
    rollup: `SELECT toString(site) AS site, toString(day) AS date, is_bot, toString(hostname) AS hostname, path,
      sum(page_views) AS page_views FROM millrace.daily_pages WHERE site != '' GROUP BY ALL`,
    recount: `SELECT toString(site) AS site, toString(day) AS date, is_bot, toString(hostname) AS hostname, path,
      count() AS page_views FROM millrace.hits WHERE verdict = 'keep' AND type = 'page_view' GROUP BY ALL`,
  },
  {
    invariant: 'I3 daily_sessions equals a recount of sessions',
    keys: 3,
    rollup: `SELECT toString(site) AS site, toString(day) AS date, is_bot, sum(sessions) AS sessions,
      sum(bounces) AS bounces, sum(duration_ms) AS duration_ms, sum(page_views) AS page_views
      FROM millrace.daily_sessions WHERE site != '' GROUP BY ALL`,
    recount: `SELECT toString(site) AS site, toString(day) AS date, is_bot, sum(sign) AS sessions,
      sum(sign * is_bounce) AS bounces, sum(sign * duration_ms) AS duration_ms, sum(sign * page_views) AS page_views
      FROM millrace.sessions WHERE site != '' GROUP BY ALL`,
  },
  {
    invariant: 'I3 daily_hits equals a recount of hits',
    keys: 3,
    rollup: `SELECT toString(site) AS site, toString(day) AS date, is_bot, sum(revenue) AS revenue,
      sum(event_ms) AS event_ms, sum(timed_events) AS timed_events
      FROM millrace.daily_hits WHERE site != '' GROUP BY ALL`,
    recount: `SELECT toString(site) AS site, toString(day) AS date, is_bot, sum(value) AS revenue,
      sum(event_duration_ms) AS event_ms, countIf(event_duration_ms > 0) AS timed_events
      FROM millrace.hits WHERE verdict = 'keep' AND type = 'event' GROUP BY ALL`,
  },
  {
    invariant: 'I3 daily_hits equals a recount of hits',
    keys: 4,
    rollup: `SELECT site, date, is_bot, views.1 AS quarter, sum(views.2) AS page_views FROM (
        SELECT toString(site) AS site, toString(day) AS date, is_bot,
          arrayJoin(CAST(quarters, 'Array(Tuple(UInt32, UInt64))')) AS views FROM millrace.daily_hits WHERE site != ''
      ) GROUP BY ALL`,
    recount: `SELECT toString(site) AS site, toString(day) AS date, is_bot,
      toUInt32(intDiv(toUnixTimestamp(time), 900)) AS quarter, count() AS page_views
      FROM millrace.hits WHERE verdict = 'keep' AND type = 'page_view' GROUP BY ALL`,
  },
]

type Row = Record<string, string | number | boolean>
/** Rows by name. Rows whose values are all 0 say nothing: sums may leave them behind. */
async function tableOf(store: Store, sql: string, keys: number): Promise<Map<string, Record<string, number>>> {
  const table = new Map<string, Record<string, number>>()
  for (const row of await store.query<Row>(sql)) {
    const entries = Object.entries(row)
    const values = entries.slice(keys).map(([name, value]) => [name, Number(value)] as const)
    if (values.some(([, value]) => value !== 0)) table.set(nameOf(entries.slice(0, keys)), Object.fromEntries(values))
  }
  return table
}
const nameOf = (entries: [string, unknown][]): string =>
  entries.map(([, value]) => (typeof value === 'boolean' ? Number(value) : value)).join('\t')

function compareTables(
  findings: Findings,
  invariant: Invariant,
  expected: ReadonlyMap<string, Record<string, number>>,
  stored: ReadonlyMap<string, Record<string, number>>,
): void {
  for (const name of new Set([...expected.keys(), ...stored.keys()])) {
    const want = expected.get(name) ?? {}
    const have = stored.get(name) ?? {}
    for (const column of Object.keys({ ...want, ...have })) {
      findings.same(invariant, `${name.replaceAll('\t', ' ')}: ${column}`, want[column] ?? 0, have[column] ?? 0)
    }
  }
}

/** Compares every rollup with the table it is made of. */
export async function compareRollups(store: Store, findings: Findings): Promise<void> {
  for (const { invariant, keys, rollup, recount } of ROLLUPS) {
    compareTables(findings, invariant, await tableOf(store, recount, keys), await tableOf(store, rollup, keys))
  }
}

/** Compares hits and sessions by site and day, and page totals, with what the recount of the log says. Visitors are exact. */
export async function compareWithRecount(store: Store, recount: Recount, findings: Findings): Promise<void> {
  const invariant = 'I5 daily totals equal the independent recount'
  const exact = ROLLUPS[0]!.recount.replace('uniqCombined64(14)', 'uniqExact')
  const mapped = <V>(map: ReadonlyMap<string, V>, values: (value: V) => Record<string, number>) =>
    new Map([...map].map(([name, value]) => [name, values(value)] as const))
  const hits = mapped(recount.dailyHits, ({ pageViews, events, visitors }) => ({
    page_views: pageViews,
    events,
    visitors: visitors.size,
  }))
  compareTables(findings, invariant, hits, await tableOf(store, exact, 3))
  const pages = mapped(recount.dailyPages, (page_views) => ({ page_views }))
  compareTables(findings, invariant, pages, await tableOf(store, ROLLUPS[1]!.rollup, 5))
  const sessions = mapped(recount.dailySessions, ({ sessions, bounces, durationMs, pageViews }) => ({
    sessions,
    bounces,
    duration_ms: durationMs,
    page_views: pageViews,
  }))
  compareTables(findings, invariant, sessions, await tableOf(store, ROLLUPS[2]!.rollup, 3))
}
