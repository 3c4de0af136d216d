import type { HitRow, SessionRow } from '@millrace/shared'
import type { RandomSite } from './random-site.fixture.ts'

/**
 * The numbers of a query counted row by row, as the reference describes them, with nothing of the query code: no SQL, no
 * buckets, no calendar but Intl. Slow and plain.
 */
export interface PlainQuery {
  readonly site: string
  readonly fromMs: number
  readonly toMs: number
  readonly timezone: string
  readonly dimensions: readonly string[]
  readonly filter: PlainFilter | null
  readonly includeBots: boolean
}
export type PlainFilter =
  | { readonly and: readonly PlainFilter[] }
  | { readonly or: readonly PlainFilter[] }
  | { readonly not: PlainFilter }
  | { readonly dimension: string; readonly [operator: string]: unknown }

export type Numbers = Record<string, number | null>

interface Tally {
  visitors: Set<string>
  page_views: number
  events: number
  sessions: number
  bounces: number
  duration: number
  views: number
}

const SESSION_TELLS = ['hostname', 'browser', 'country', 'referrer', 'entry_path', 'exit_path']
const TIME = ['minute', 'hour', 'day', 'week', 'month', 'year', 'weekday', 'hour_of_day']

/** Every row with a number that is not 0, by its dimension values joined with tabs; the total is the row '' of a query without dimensions. */
export function recountPlainly(query: PlainQuery, site: RandomSite): Map<string, Numbers> {
  const hits = site.hits.filter(
    (hit) =>
      hit.site === query.site &&
      hit.verdict === 'keep' &&
      hit.type !== 'engagement' &&
      (query.includeBots || !hit.is_bot),
  )
  const sessions = site.sessions.filter(
    (session) => session.site === query.site && (query.includeBots || !session.is_bot),
  )
  const byId = new Map(sessions.map((session) => [session.session_id, session]))
  const tallies = new Map<string, Tally>()

  for (const hit of hits) {
    if (hit.time < query.fromMs || hit.time >= query.toMs) continue
    const session = byId.get(hit.session_id)
    if (query.filter && !passes(query.filter, (name) => ofHit(name, hit, session, query.timezone))) continue
    const key = query.dimensions.map((name) => ofHit(name, hit, session, query.timezone))
    if (key.includes(undefined)) continue
    const tally = tallyOf(tallies, key)
    tally.visitors.add(hit.visitor_id)
    if (hit.type === 'page_view') tally.page_views++
    else tally.events++
  }

  for (const session of sessions) {
    if (session.start < query.fromMs || session.start >= query.toMs) continue
    const own = hits.filter((hit) => hit.session_id === session.session_id)
    const chosen = query.filter ? chosenHits(query.filter, session, own, query.timezone) : own
    if (chosen === null) continue
    for (const key of keysOf(query, session, chosen)) {
      const tally = tallyOf(tallies, key)
      tally.sessions++
      tally.bounces += session.is_bounce
      tally.duration += session.duration_ms
      tally.views += session.page_views
    }
  }
  return new Map([...tallies].map(([key, tally]) => [key, numbersOf(tally)]))
}

function numbersOf(tally: Tally): Numbers {
  const per = (sum: number): number | null => (tally.sessions === 0 ? null : sum / tally.sessions)
  return {
    visitors: tally.visitors.size,
    sessions: tally.sessions,
    page_views: tally.page_views,
    events: tally.events,
    bounces: tally.bounces,
    bounce_rate: per(tally.bounces),
    views_per_session: per(tally.views),
    session_duration: per(tally.duration),
  }
}

function tallyOf(tallies: Map<string, Tally>, key: readonly unknown[]): Tally {
  const name = key.join('\t')
  let tally = tallies.get(name)
  if (!tally) {
    tally = { visitors: new Set(), page_views: 0, events: 0, sessions: 0, bounces: 0, duration: 0, views: 0 }
    tallies.set(name, tally)
  }
  return tally
}

/** A session counts once for each combination of what its own row says and what its hits say. */
function keysOf(query: PlainQuery, session: SessionRow, hits: readonly HitRow[]): unknown[][] {
  const told = (name: string): boolean => SESSION_TELLS.includes(name) || TIME.includes(name)
  if (query.dimensions.every(told)) return [query.dimensions.map((name) => ofSession(name, session, query.timezone))]
  const keys = new Map<string, unknown[]>()
  for (const hit of hits) {
    const key = query.dimensions.map((name) =>
      told(name) ? ofSession(name, session, query.timezone) : ofHit(name, hit, session, query.timezone),
    )
    if (!key.includes(undefined)) keys.set(key.join('\t'), key)
  }
  return [...keys.values()]
}

/** The hits of a session that a filter chooses; null if the filter does not choose the session. */
function chosenHits(
  filter: PlainFilter,
  session: SessionRow,
  hits: readonly HitRow[],
  timezone: string,
): readonly HitRow[] | null {
  if (namesIn(filter).every((name) => SESSION_TELLS.includes(name) || TIME.includes(name))) {
    return passes(filter, (name) => ofSession(name, session, timezone)) ? hits : null
  }
  const chosen = hits.filter((hit) => passes(filter, (name) => ofHit(name, hit, session, timezone)))
  return chosen.length > 0 ? chosen : null
}

function namesIn(filter: PlainFilter): string[] {
  if ('and' in filter) return (filter.and as PlainFilter[]).flatMap(namesIn)
  if ('or' in filter) return (filter.or as PlainFilter[]).flatMap(namesIn)
  return 'not' in filter ? namesIn(filter.not as PlainFilter) : [filter.dimension as string]
}

function passes(filter: PlainFilter, value: (name: string) => unknown): boolean {
  if ('and' in filter) return (filter.and as PlainFilter[]).every((part) => passes(part, value))
  if ('or' in filter) return (filter.or as PlainFilter[]).some((part) => passes(part, value))
  if ('not' in filter) return !passes(filter.not as PlainFilter, value)
  const { dimension, ...rest } = filter
  const [operator, wanted] = Object.entries(rest)[0] as [string, (string | number)[]]
  const found = value(dimension as string)
  const text = String(found ?? '')
  switch (operator) {
    case 'is':
      return wanted.some((one) => text === String(one))
    case 'is_not':
      return wanted.every((one) => text !== String(one))
    case 'contains':
      return wanted.some((one) => text.includes(String(one)))
    case 'contains_not':
      return wanted.every((one) => !text.includes(String(one)))
    case 'matches':
      return wanted.some((one) => new RegExp(String(one)).test(text))
    case 'matches_not':
      return wanted.every((one) => !new RegExp(String(one)).test(text))
    case 'greater':
      return found !== undefined && (typeof wanted[0] === 'number' ? Number(text) > wanted[0] : text > wanted[0]!)
    case 'less':
      return found !== undefined && (typeof wanted[0] === 'number' ? Number(text) < wanted[0] : text < wanted[0]!)
    default:
      throw new Error(`no such operator: ${operator}`)
  }
}

function ofHit(name: string, hit: HitRow, session: SessionRow | undefined, timezone: string): unknown {
  if (TIME.includes(name)) return timeLabel(name, hit.time, timezone)
  if (name === 'exit_path') return session?.exit_path
  if (name === 'event_name') return hit.type === 'event' ? hit.event_name : undefined
  if (name === 'referrer') return hit.session_referrer
  if (name.startsWith('tags.')) return hit.tags[name.slice(5)]
  if (name.startsWith('props.')) return hit.props_number[name.slice(6)] ?? hit.props_text[name.slice(6)]
  return hit[name as keyof HitRow]
}

function ofSession(name: string, session: SessionRow, timezone: string): unknown {
  if (TIME.includes(name)) return timeLabel(name, session.start, timezone)
  return name === 'referrer' ? session.session_referrer : session[name as keyof SessionRow]
}

const formats = new Map<string, Intl.DateTimeFormat>()
/** What a clock and calendar on the wall show; the hour that comes twice has `~` behind it the second time. */
export function timeLabel(unit: string, ms: number, timezone: string): string | number {
  const wall = wallClock(ms, timezone)
  const [date, clock] = [wall.slice(0, 10), wall.slice(11)]
  const weekday = ((new Date(`${date}T00:00:00Z`).getUTCDay() + 6) % 7) + 1
  switch (unit) {
    case 'minute':
      return `${date}T${clock}`
    case 'hour': {
      const again = [30, 60].some((minutes) => {
        const before = wallClock(ms - minutes * 60_000, timezone)
        return before >= wall && before.slice(0, 13) === wall.slice(0, 13)
      })
      return `${date}T${clock.slice(0, 2)}:00${again ? '~' : ''}`
    }
    case 'day':
      return date
    case 'week':
      return new Date(Date.parse(`${date}T00:00:00Z`) - (weekday - 1) * 86_400_000).toISOString().slice(0, 10)
    case 'month':
      return date.slice(0, 7)
    case 'year':
      return date.slice(0, 4)
    case 'weekday':
      return weekday
    default:
      return Number(clock.slice(0, 2))
  }
}

/** `2026-11-14 09:05` */
function wallClock(ms: number, timezone: string): string {
  let format = formats.get(timezone)
  if (!format) {
    format = new Intl.DateTimeFormat('sv-SE', {
      timeZone: timezone,
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
    })
    formats.set(timezone, format)
  }
  return format.format(ms)
}
