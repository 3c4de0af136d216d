import { dateOfDay, type HitRow, LocalDays, type SessionRow } from '@millrace/shared'
import type { Store } from '@millrace/store'
import type { RebuildPlan } from './plan.ts'

/** Everything that the store holds of a site, each number under a name that says what it counts. */
export type Contents = Map<string, number>

interface Rows {
  readonly hits: readonly HitRow[]
  readonly sessions: readonly SessionRow[]
}

/** The rows as a rebuild leaves them, by the calendar of this process and not the store's. */
export function rebuiltRows({ hits, sessions }: Rows, plan: Omit<RebuildPlan, 'id'>): Rows {
  const zone = new LocalDays(plan.zone)
  const inPlan = (day: number) => day >= plan.from && day <= plan.to
  const rebuilt = <Row extends { site: string; day: number }>(rows: readonly Row[], timeOf: (row: Row) => number) =>
    rows.flatMap((row) => {
      if (row.site !== plan.site || !inPlan(row.day)) return [row]
      const local = zone.dayOf(timeOf(row))
      const day = inPlan(local) ? local : row.day
      return day < plan.keepFrom ? [] : [{ ...row, day }]
    })
  return { hits: rebuilt(hits, (hit) => hit.time), sessions: rebuilt(sessions, (row) => row.start) }
}

/** What the tables have to say when they hold exactly these rows. */
export function contentsOf({ hits, sessions }: Rows, site: string): Contents {
  const numbers: Contents = new Map()
  const add = (name: (string | number | boolean)[], n: number) => {
    const key = name.join('|')
    numbers.set(key, (numbers.get(key) ?? 0) + n)
  }
  const visitors = new Map<string, Set<string>>()
  for (const hit of hits.filter((row) => row.site === site)) {
    const day = dateOfDay(hit.day)
    add(['hit', day, hit.hit_id, hit.ko, hit.verdict, hit.time], 1)
    if (hit.verdict !== 'keep' || hit.type === 'engagement') continue
    add([hit.type === 'event' ? 'events' : 'page_views', day, hit.is_bot], 1)
    const key = ['visitors', day, hit.is_bot].join('|')
    visitors.set(key, (visitors.get(key) ?? new Set()).add(hit.visitor_id))
    if (hit.type === 'page_view') add(['pages', day, hit.is_bot, hit.hostname, hit.path], 1)
  }
  for (const [key, ids] of visitors) numbers.set(key, ids.size)
  for (const row of sessions.filter((each) => each.site === site)) {
    const day = dateOfDay(row.day)
    add(['session', day, row.session_id, row.version, row.start], row.sign)
    add(['sessions', day, row.is_bot], row.sign)
    add(['bounces', day, row.is_bot], row.sign * row.is_bounce)
    add(['duration', day, row.is_bot], row.sign * row.duration_ms)
    add(['session_pages', day, row.is_bot], row.sign * row.page_views)
  }
  return withoutZeros(numbers)
}

const BOT = "if(is_bot, 'true', 'false')"
const NAMED = [
  `SELECT concat('hit|', toString(day), '|', toString(hit_id), '|', toString(ko), '|', toString(verdict), '|', toString(toUnixTimestamp64Milli(time))) AS name, count() AS n
   FROM millrace.hits WHERE site = {site:String} GROUP BY name`,
  `SELECT concat('session|', toString(day), '|', lower(leftPad(hex(session_id), 16, '0')), '|', toString(version), '|', toString(toUnixTimestamp64Milli(start))) AS name, sum(sign) AS n
   FROM millrace.sessions WHERE site = {site:String} GROUP BY name`,
  ...['page_views', 'events'].map((metric) => daily(metric, 'daily_hits', `sum(${metric})`)),
  daily('visitors', 'daily_hits', 'uniqCombined64Merge(14)(visitors)'),
  daily('sessions', 'daily_sessions', 'sum(sessions)'),
  daily('bounces', 'daily_sessions', 'sum(bounces)'),
  daily('duration', 'daily_sessions', 'sum(duration_ms)'),
  daily('session_pages', 'daily_sessions', 'sum(page_views)'),
  `SELECT concat('pages|', toString(day), '|', ${BOT}, '|', hostname, '|', path) AS name, sum(page_views) AS n
   FROM millrace.daily_pages WHERE site = {site:String} GROUP BY name`,
]

function daily(metric: string, table: string, value: string): string {
  return `SELECT concat('${metric}|', toString(day), '|', ${BOT}) AS name, ${value} AS n
    FROM millrace.${table} WHERE site = {site:String} GROUP BY name`
}

/** What the tables say. */
export async function readContents(store: Store, site: string): Promise<Contents> {
  const numbers: Contents = new Map()
  for (const sql of NAMED) {
    const rows = await store.query<{ name: string; n: string }>(sql, { params: { site } })
    for (const { name, n } of rows) numbers.set(name, Number(n))
  }
  return withoutZeros(numbers)
}

const withoutZeros = (numbers: Contents): Contents => new Map([...numbers].filter(([, n]) => n !== 0).sort())
