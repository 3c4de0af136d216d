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
  readonly goals?: readonly PlainGoal[]
}
/** A goal as it is configured; patterns are a path, or the beginning of one before `**`. */
export type PlainGoal =
  | { readonly type: 'page'; readonly path: string }
  | { readonly type: 'event'; readonly event_name: string }
  | { readonly type: 'scroll'; readonly path: string; readonly scroll_percent: number }
  | { readonly type: 'duration'; readonly duration_ms: number }
export type PlainFilter =
  | { readonly and: readonly PlainFilter[] }
  | { readonly or: readonly PlainFilter[] }
  | { readonly not: PlainFilter }
  | { readonly session: PlainFilter }
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
  timed: number[]
  revenue: number
  requests: number[]
  conversions: number
  lasting: Set<string>
  converted: Set<string>
  seen: number[]
  depths: number[]
  entries: number
  exits: number
}

/** What only sessions know, and the column. */
const SESSION_ONLY: Readonly<Record<string, keyof SessionRow>> = {
  exit_path: 'exit_path',
  is_bounce: 'is_bounce',
  session_page_views: 'page_views',
  session_events: 'events',
  session_duration_ms: 'duration_ms',
}
const SESSION_TELLS = [
  ...['hostname', 'browser', 'country', 'referrer', 'entry_path', 'referrer_name', 'channel', 'click_id_kind'],
  ...['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term', 'region', 'city', 'browser_version'],
  ...['os', 'os_version', 'device', 'device_type', 'platform', 'client_kind', 'language', 'screen_class', 'bot_reason'],
  ...Object.keys(SESSION_ONLY),
]
const TIME = ['minute', 'hour', 'day', 'week', 'month', 'year', 'weekday', 'hour_of_day']

/** Every row with a number that is not 0, by its dimension values joined with tabs; the total is the row '' of a query without dimensions. */
export function recountPlainly(query: PlainQuery, site: RandomSite): Map<string, Numbers> {
  const kept = site.hits.filter(
    (hit) => hit.site === query.site && hit.verdict === 'keep' && (query.includeBots || !hit.is_bot),
  )
  const hits = kept.filter(({ type }) => type !== 'engagement')
  const signals = kept.filter(({ type }) => type === 'engagement')
  const sessions = site.sessions.filter(
    (session) => session.site === query.site && (query.includeBots || !session.is_bot),
  )
  const byId = new Map(sessions.map((session) => [session.session_id, session]))
  const signalsOf = new Map<string, HitRow[]>()
  for (const signal of signals) signalsOf.set(signal.page_id, [...(signalsOf.get(signal.page_id) ?? []), signal])
  const hitsOf = new Map<string, HitRow[]>()
  for (const hit of hits) hitsOf.set(hit.session_id, [...(hitsOf.get(hit.session_id) ?? []), hit])
  const inSession = (id: string, part: PlainFilter): boolean =>
    byId.has(id) && (hitsOf.get(id) ?? []).some((hit) => passes(part, asHit(hit)))
  const asHit = (hit: HitRow): Asked => {
    const session = byId.get(hit.session_id)
    return {
      value: (name) => ofHit(name, hit, session, query.timezone),
      inSession: (part) => inSession(hit.session_id, part),
      without: session ? [] : Object.keys(SESSION_ONLY),
    }
  }
  const asSession = (session: SessionRow): Asked => ({
    value: (name) => ofSession(name, session, query.timezone),
    inSession: (part) => inSession(session.session_id, part),
    without: [],
  })
  const tallies = new Map<string, Tally>()

  for (const hit of hits) {
    if (hit.time < query.fromMs || hit.time >= query.toMs) continue
    const asked = asHit(hit)
    if (query.filter && !passes(query.filter, asked)) continue
    const key = query.dimensions.map(asked.value)
    if (key.includes(undefined)) continue
    const tally = tallyOf(tallies, key)
    tally.visitors.add(hit.visitor_id)
    if (hit.type === 'page_view') tally.page_views++
    else tally.events++
    if (hit.type === 'event' && hit.event_duration_ms > 0) tally.timed.push(hit.event_duration_ms)
    if (hit.type === 'event') tally.revenue += hit.value
    if (hit.request_ms > 0) tally.requests.push(hit.request_ms)
    const own = (signalsOf.get(hit.hit_id) ?? []).filter((signal) => signal.session_id === hit.session_id)
    for (const goal of query.goals ?? []) countGoal(goal, hit, byId.get(hit.session_id), own, tally)
    if (hit.type === 'page_view' && byId.has(hit.session_id)) {
      const seen = timeOnPage(hit, hitsOf.get(hit.session_id)!, own)
      if (seen !== null) tally.seen.push(seen)
      const depth = Math.max(0, ...own.map((signal) => signal.scroll_percent))
      if (depth > 0) tally.depths.push(depth)
    }
  }

  for (const session of sessions) {
    if (session.start < query.fromMs || session.start >= query.toMs) continue
    const own = hitsOf.get(session.session_id) ?? []
    countPages(query, session, own, asSession(session), tallies)
    const chosen = query.filter ? chosenHits(query.filter, asSession(session), own, asHit) : own
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

/** To the next page view of the session, else to the last signal of this page; null = not known. */
function timeOnPage(hit: HitRow, hits: readonly HitRow[], own: readonly HitRow[]): number | null {
  const views = hits.filter(({ type }) => type === 'page_view').sort((a, b) => a.time - b.time || a.ko - b.ko)
  const next = views[views.indexOf(hit) + 1]
  if (next) return next.time - hit.time
  return own.length > 0 ? Math.max(...own.map(({ time }) => time)) - hit.time : null
}

const fits = (path: string, pattern: string): boolean =>
  pattern.endsWith('**') ? path.startsWith(pattern.slice(0, -2)) : path === pattern

function countGoal(
  goal: PlainGoal,
  hit: HitRow,
  session: SessionRow | undefined,
  signals: readonly HitRow[],
  tally: Tally,
): void {
  const page = hit.type === 'page_view' && 'path' in goal && fits(hit.path, goal.path)
  const reached = {
    page: page,
    event: hit.type === 'event' && 'event_name' in goal && hit.event_name === goal.event_name,
    scroll: page && signals.some((signal) => 'scroll_percent' in goal && signal.scroll_percent >= goal.scroll_percent),
    duration: session !== undefined && 'duration_ms' in goal && session.duration_ms >= goal.duration_ms,
  }[goal.type]
  if (!reached) return
  tally.converted.add(hit.visitor_id)
  if (goal.type === 'duration') tally.lasting.add(hit.session_id)
  else tally.conversions++
}

/** The session under its first and its last page view. */
function countPages(
  query: PlainQuery,
  session: SessionRow,
  hits: readonly HitRow[],
  asked: Asked,
  tallies: Map<string, Tally>,
): void {
  const views = hits.filter(({ type }) => type === 'page_view').sort((a, b) => a.time - b.time || a.ko - b.ko)
  for (const kind of ['entries', 'exits'] as const) {
    const view = views.at(kind === 'entries' ? 0 : -1)
    if (!view) continue
    const value = (name: string): unknown =>
      SESSION_TELLS.includes(name) || TIME.includes(name)
        ? asked.value(name)
        : ofHit(name, view, session, query.timezone)
    if (query.filter && !passes(query.filter, { ...asked, value })) continue
    const key = query.dimensions.map(value)
    if (!key.includes(undefined)) tallyOf(tallies, key)[kind]++
  }
}

function numbersOf(tally: Tally): Numbers {
  const per = (sum: number, by = tally.sessions): number | null => (by === 0 ? null : sum / by)
  const total = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0)
  const mean = (values: readonly number[]): number | null => per(total(values), values.length)
  const sorted = tally.requests.toSorted((a, b) => a - b)
  const quantile = (level: number): number | null => sorted[Math.floor(level * sorted.length)] ?? null
  return {
    visitors: tally.visitors.size,
    sessions: tally.sessions,
    page_views: tally.page_views,
    events: tally.events,
    bounces: tally.bounces,
    bounce_rate: per(tally.bounces),
    views_per_session: per(tally.views),
    session_duration: per(tally.duration),
    time_on_page: mean(tally.seen),
    event_duration: mean(tally.timed),
    scroll_depth: mean(tally.depths),
    entries: tally.entries,
    exits: tally.exits,
    entry_rate: per(tally.entries),
    exit_rate: per(tally.exits),
    conversions: tally.conversions + tally.lasting.size,
    conversion_rate: per(tally.converted.size, tally.visitors.size),
    revenue: tally.revenue,
    requests: tally.requests.length,
    request_duration: mean(tally.requests),
    request_duration_p50: quantile(0.5),
    request_duration_p75: quantile(0.75),
    request_duration_p95: quantile(0.95),
    request_duration_p99: quantile(0.99),
  }
}

function tallyOf(tallies: Map<string, Tally>, key: readonly unknown[]): Tally {
  const name = key.join('\t')
  let tally = tallies.get(name)
  if (!tally) {
    tally = {
      ...{ visitors: new Set(), page_views: 0, events: 0, sessions: 0, bounces: 0, duration: 0, views: 0 },
      ...{ timed: [], revenue: 0, requests: [], conversions: 0, lasting: new Set(), converted: new Set() },
      ...{ seen: [], depths: [], entries: 0, exits: 0 },
    }
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
  session: Asked,
  hits: readonly HitRow[],
  asHit: (hit: HitRow) => Asked,
): readonly HitRow[] | null {
  if (namesIn(filter).every((name) => SESSION_TELLS.includes(name) || TIME.includes(name))) {
    return passes(filter, session) ? hits : null
  }
  const chosen = hits.filter((hit) => passes(filter, asHit(hit)))
  return chosen.length > 0 ? chosen : null
}

function namesIn(filter: PlainFilter): string[] {
  if ('and' in filter) return (filter.and as PlainFilter[]).flatMap(namesIn)
  if ('or' in filter) return (filter.or as PlainFilter[]).flatMap(namesIn)
  if ('session' in filter) return []
  return 'not' in filter ? namesIn(filter.not as PlainFilter) : [filter.dimension as string]
}

/** What a filter is asked of: the values of a row, and its session. */
interface Asked {
  readonly value: (name: string) => unknown
  readonly inSession: (part: PlainFilter) => boolean
  /** Dimensions of which nothing is true: those of a session that is not there. */
  readonly without: readonly string[]
}

function passes(filter: PlainFilter, asked: Asked): boolean {
  if ('and' in filter) return (filter.and as PlainFilter[]).every((part) => passes(part, asked))
  if ('or' in filter) return (filter.or as PlainFilter[]).some((part) => passes(part, asked))
  if ('not' in filter) return !passes(filter.not as PlainFilter, asked)
  if ('session' in filter) return asked.inSession(filter.session as PlainFilter)
  const { dimension, ...rest } = filter
  const [operator, wanted] = Object.entries(rest)[0] as [string, (string | number)[]]
  if (asked.without.includes(dimension as string)) return false
  const found = asked.value(dimension as string)
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
  if (SESSION_ONLY[name]) return session?.[SESSION_ONLY[name]]
  if (name === 'event_name' || name === 'currency') return hit.type === 'event' ? hit[name] : undefined
  if (name === 'referrer') return hit.session_referrer
  if (name.startsWith('tags.')) return hit.tags[name.slice(5)]
  if (name.startsWith('props.')) return hit.props_number[name.slice(6)] ?? hit.props_text[name.slice(6)]
  return hit[name as keyof HitRow]
}

function ofSession(name: string, session: SessionRow, timezone: string): unknown {
  if (TIME.includes(name)) return timeLabel(name, session.start, timezone)
  return name === 'referrer' ? session.session_referrer : session[SESSION_ONLY[name] ?? (name as keyof SessionRow)]
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
