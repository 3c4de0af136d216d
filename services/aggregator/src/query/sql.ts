import { dateOfDay } from '@millrace/shared'
import { type Dimension, hitColumnsOf, tellsOf } from './dimensions.ts'
import { ownConditionsOf } from './filter.ts'
import { filterRows, isOfSessions } from './filter-sql.ts'
import { conversionsSql, convertedSql } from './goal-sql.ts'
import { allMeasures, METRICS, type Measure, type MeasureOf, type Metric, measuresOf } from './metrics.ts'
import { addsUp, MEASURED, pagesExited, pagesLeft, pagesOutOfOrder } from './page-times.ts'
import { alias, type Question } from './question.ts'
import {
  aroundPeriod,
  type DailyTable,
  dateTime,
  dayBetween,
  daysInside,
  dimensionSql,
  duringBefore,
  duringPeriod,
  hasValue,
  keptRows,
  ownRows,
  type PageRows,
  type RawTable,
  type Rows,
  tellsOfPage,
} from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'
import { seenViews } from './views-sql.ts'

/** How a table adds up a measure. Signed rows of sessions are sums, never FINAL. */
type Sums = Partial<Record<Measure, string>>
const quantile = (level: number): string => `ifNotFinite(quantileExactIf(${level})(request_ms, request_ms > 0), 0)`
const OF_HITS: Record<Exclude<MeasureOf<'hits'>, 'conversions' | 'converted'>, string> = {
  visitors: 'uniqExact(visitor_id)',
  page_views: "countIf(type = 'page_view')",
  events: "countIf(type = 'event')",
  event_ms: "sumIf(event_duration_ms, type = 'event')",
  timed_events: "countIf(type = 'event' AND event_duration_ms > 0)",
  revenue: "sumIf(value, type = 'event')",
  requests: 'countIf(request_ms > 0)',
  request_ms: 'sumIf(toFloat64(request_ms), request_ms > 0)',
  request_p50: quantile(0.5),
  request_p75: quantile(0.75),
  request_p95: quantile(0.95),
  request_p99: quantile(0.99),
}
const OF_VIEWS: Record<MeasureOf<'views'>, string> = {
  seen_ms: 'sum(ifNull(seen_ms, 0))',
  seen_views: 'countIf(seen_ms IS NOT NULL)',
  depth: 'sum(depth)',
  depth_views: 'countIf(depth > 0)',
}
const OF_PAGES_LEFT: Record<MeasureOf<'views'>, string> = {
  seen_ms: "sumIf(previous_ms, type = 'page_view')",
  seen_views: "countIf(type = 'page_view')",
  depth: 'sum(previous_depth)',
  depth_views: `countIf(${MEASURED})`,
}
const EXIT_MS = 'toUnixTimestamp64Milli(exit_signal_at) - toUnixTimestamp64Milli(exit_at)'
const OF_PAGES_EXITED: Record<MeasureOf<'views'>, string> = {
  seen_ms: `sumIf(sign * greatest(${EXIT_MS}, 0), toUnixTimestamp64Milli(exit_signal_at) > 0)`,
  seen_views: 'sumIf(sign, toUnixTimestamp64Milli(exit_signal_at) > 0)',
  depth: 'sum(sign * exit_depth)',
  depth_views: 'sumIf(sign, exit_depth > 0)',
}
const OF_PAGES_OUT_OF_ORDER: Record<MeasureOf<'views'>, string> = {
  seen_ms: 'sum(sign * ifNull(page_ms, 0))',
  seen_views: 'sumIf(sign, page_ms IS NOT NULL)',
  depth: 'sum(sign * page_depth)',
  depth_views: 'sumIf(sign, is_measured)',
}
const OF_SESSIONS: Record<MeasureOf<'sessions'>, string> = {
  sessions: 'sum(sign)',
  bounces: 'sum(sign * is_bounce)',
  session_ms: 'sum(sign * toInt64(duration_ms))',
  session_views: 'sum(sign * toInt64(page_views))',
}
const OF_PAGES: Record<PageRows, Sums> = {
  entries: { entries: 'sumIf(sign, page_views > 0)' },
  exits: { exits: 'sumIf(sign, page_views > 0)' },
}
const OF_DAILY_HITS: Sums = {
  visitors: 'uniqCombined64Merge(14)(visitors)',
  page_views: 'sum(page_views)',
  events: 'sum(events)',
  event_ms: 'sum(event_ms)',
  timed_events: 'sum(timed_events)',
  revenue: 'sum(revenue)',
}
const OF_DAILY_PAGES: Sums = { page_views: 'sum(page_views)' }
const OF_QUARTERS: Sums = { page_views: 'sum(page_views)' }
const OF_DAILY_SESSIONS: Sums = {
  sessions: 'sum(sessions)',
  bounces: 'sum(bounces)',
  session_ms: 'sum(duration_ms)',
  session_views: 'sum(page_views)',
}

/** A SELECT of one source: dimensions d0, d1, … and measures m_…, one row for each value of the dimensions. */
export type PartSql = (question: Question, binder: Binder) => string

/** Visitors, page views, events and what they carry. */
export const fromHits: PartSql = (question, binder) =>
  question.likely && measuresOf(question.metrics).hits.every((measure) => measure in OF_DAILY_HITS)
    ? fromFewHits(question.likely, question, binder)
    : fromHitRows('hits', 'millrace.hits', hitSums(question, binder), question, binder)

/** The same of likely paths: of others, page views are told by the totals of pages, which are never less than their visitors. */
function fromFewHits(likely: readonly string[], question: Question, binder: Binder): string {
  const { page_views, ...sums } = OF_HITS
  const where = [...whereOf('hits', question, binder), isOfFew(likely, binder)]
  const visitors = `sumIf(page_views, NOT ${isLikely(likely, binder)})`
  const parts = [
    select(['path AS d0', ...measures(sums, question)], 'millrace.hits', where, question.dimensions),
    grouped('daily_pages', 'millrace.daily_pages', { ...OF_DAILY_PAGES, visitors }, question, binder),
  ]
  return combine(parts, question)
}

function hitSums(question: Question, binder: Binder): Sums {
  const { hits } = measuresOf(question.metrics)
  return {
    ...OF_HITS,
    ...(question.likely && { visitors: distinctOfFew('visitor_id', isOfFew(question.likely, binder)) }),
    ...(hits.includes('conversions') && { conversions: conversionsSql(question, binder) }),
    ...(hits.includes('converted') && { converted: convertedSql(question, binder) }),
  }
}

/**
 * Whether `likely` spares the counting of distinct ids: a set of them for every path is most of what such a question costs,
 * and a page of rows shows few paths. Of the others a number that is never less is enough to know that they are not on it.
 */
export function countsFew({
  metrics,
  dimensions,
  filter,
}: Pick<Question, 'metrics' | 'dimensions' | 'filter'>): boolean {
  if (filter !== null || dimensions.length !== 1 || dimensions[0]!.name !== 'path') return false
  const { hits, sessions } = measuresOf(metrics)
  return hits.includes('visitors') || (sessions.length > 0 && countsSessions({ metrics, dimensions }))
}

/** Hits that are told apart: those of likely paths, and events, of which one visit may have many. */
const isOfFew = (paths: readonly string[], binder: Binder): string => `(${isLikely(paths, binder)} OR type = 'event')`

const isLikely = (paths: readonly string[], { bind }: Binder): string =>
  `(path IN ${bind('likely', 'Array(String)', paths)})`

const distinctOfFew = (id: string, isOf: string): string => `uniqExactIf(${id}, ${isOf}) + countIf(NOT ${isOf})`

/** How long and how far page views were seen. */
export function fromViews(question: Question, binder: Binder): string {
  if (!addsUp(question)) return fromHitRows('views', seenViews(question, binder), OF_VIEWS, question, binder)
  const parts = [
    ofPages(pagesLeft(question, binder), OF_PAGES_LEFT, question, binder),
    ofPages(pagesExited(question, binder), OF_PAGES_EXITED, question, binder),
    ofPages(pagesOutOfOrder(question, binder), OF_PAGES_OUT_OF_ORDER, question, binder),
  ]
  return combine(parts, question)
}

/** Rows that are of the site and kind already, with the columns of page views. */
function ofPages(from: string, sums: Sums, question: Question, binder: Binder): string {
  const { dimensions, filter } = question
  const values = dimensions.map(
    (dimension, i) => `${dimensionSql(dimension, 'views', question, binder)} AS ${alias(i)}`,
  )
  const where = [
    ...keptRows(question, binder),
    ...duringPeriod('views', question, binder),
    ...filterRows(filter, 'views', question, binder),
  ]
  return select([...values, ...measures(sums, question)], from, where, dimensions)
}

/** Sessions, bounces and durations from signed session rows. */
export function fromSessions(question: Question, binder: Binder): string {
  if (question.dimensions.every((dimension) => tellsOf(dimension).sessions)) {
    const pages = foldsPages(question) ? { ...OF_PAGES.entries, ...OF_PAGES.exits } : {}
    return grouped('sessions', 'millrace.sessions', { ...OF_SESSIONS, ...pages }, question, binder)
  }
  return countsSessions(question) ? fromSessionsCounted(question, binder) : fromSessionsJoined(question, binder)
}

/** Whether sessions are told apart by id under what only hits tell, and nothing else of them is asked. */
function countsSessions({ metrics, dimensions }: Pick<Question, 'metrics' | 'dimensions'>): boolean {
  const onlyCounts = measuresOf(metrics).sessions.every((name) => name === 'sessions' || name === 'bounces')
  return onlyCounts && dimensions.every((dimension) => !tellsOf(dimension).sessions)
}

/** Whether entries and exits are sums over the same rows as sessions: all that is asked is the session's, not its pages'. */
export function foldsPages({
  metrics,
  dimensions,
  filter,
}: Pick<Question, 'metrics' | 'dimensions' | 'filter'>): boolean {
  if (measuresOf(metrics).sessions.length === 0) return false
  return dimensions.every((dimension) => tellsOf(dimension).sessions) && (filter === null || isOfSessions(filter))
}

/** Sessions under their first page view. */
export const fromEntries: PartSql = (question, binder) => fromPages('entries', question, binder)
/** Sessions under their last page view. */
export const fromExits: PartSql = (question, binder) => fromPages('exits', question, binder)

/** From the totals of each day. */
export const fromDailyHits: PartSql = (question, binder) =>
  grouped('daily_hits', 'millrace.daily_hits', OF_DAILY_HITS, question, binder)
export const fromDailySessions: PartSql = (question, binder) =>
  grouped('daily_sessions', 'millrace.daily_sessions', OF_DAILY_SESSIONS, question, binder)
/** Page views of each page and day. */
export const fromDailyPages: PartSql = (question, binder) =>
  grouped('daily_pages', 'millrace.daily_pages', OF_DAILY_PAGES, question, binder)

/** Page views of each quarter of an hour, which the totals of each day list. */
export function fromQuarters(question: Question, binder: Binder): string {
  const where = [...ownRows('daily_hits', question, binder), ...aroundPeriod(1, question, binder)]
  const quarters = nested(
    `SELECT day, arrayJoin(CAST(quarters, 'Array(Tuple(UInt32, UInt64))')) AS quarter
FROM millrace.daily_hits\nWHERE ${allOf(where)}`,
  )
  const rows = nested(
    `SELECT day, fromUnixTimestamp64Milli(toInt64(quarter.1) * 900000, 'UTC') AS time, quarter.2 AS page_views\nFROM ${quarters}`,
  )
  const { dimensions } = question
  const values = dimensions.map((dimension, i) => `${dimensionSql(dimension, 'hits', question, binder)} AS ${alias(i)}`)
  const during = duringPeriod('hits', question, binder)
  return select([...values, ...measures(OF_QUARTERS, question)], rows, during, dimensions)
}

function grouped(rows: Rows | DailyTable, from: string, sums: Sums, question: Question, binder: Binder): string {
  const { dimensions } = question
  const values = dimensions.map((dimension, i) => `${dimensionSql(dimension, rows, question, binder)} AS ${alias(i)}`)
  const where = whereOf(rows, question, binder)
  const by = [...marksOf(question).filter((mark) => mark !== 'is_total'), ...dimensions.map((_, i) => alias(i))]
  const isBefore = question.before ? [`${duringBefore(question.before, binder)} AS is_before`] : []
  // Sketches are read once and merged day by day; the totals are merged of these.
  const isTotal = question.rolledUp ? [`toUInt8(${by.map((key) => `grouping(${key})`).join(' + ')}) AS is_total`] : []
  const columns = [...isBefore, ...values, ...isTotal, ...measures(sums, question)]
  return `${selectBy(columns, from, where, by)}${question.rolledUp ? ' WITH ROLLUP' : ''}`
}

/** Columns beside the dimensions that tell rows apart. `is_total` = 2: both periods together, which nobody asks for. */
const marksOf = ({ before, rolledUp }: Question): string[] => [
  ...(before ? ['is_before'] : []),
  ...(rolledUp ? ['is_total'] : []),
]

function whereOf(rows: Rows | DailyTable, question: Question, binder: Binder): string[] {
  const daily = rows === 'daily_hits' || rows === 'daily_sessions' || rows === 'daily_pages'
  return [
    ...ownRows(rows, question, binder),
    ...duringPeriod(rows, question, binder),
    ...havingValues(question.dimensions, rows, binder),
    ...(daily ? [] : filterRows(question.filter, rows, question, binder)),
  ]
}

const havingValues = (dimensions: readonly Dimension[], rows: Rows | DailyTable, binder: Binder): string[] =>
  dimensions.map((dimension) => hasValue(dimension, rows, binder)).filter((condition) => condition !== null)

/** Every measure of the question: what this source adds up, and 0 for what another one does. Floats hold counts to 2^53. */
const measures = (sums: Sums, { metrics }: Question): string[] =>
  allMeasures(metrics).map((measure) => `toFloat64(${sums[measure] ?? '0'}) AS m_${measure}`)

const select = (columns: readonly string[], from: string, where: readonly string[], by: readonly unknown[]): string =>
  selectBy(
    columns,
    from,
    where,
    by.map((_, i) => alias(i)),
  )

function selectBy(columns: readonly string[], from: string, where: readonly string[], by: readonly string[]): string {
  const group = by.length > 0 ? `\nGROUP BY ${by.join(', ')}` : ''
  return `SELECT ${columns.join(',\n  ')}\nFROM ${from}${where.length > 0 ? `\nWHERE ${allOf(where)}` : ''}${group}`
}

/** Indices of the dimensions that a table tells by itself, and of those it must ask the other one for. */
function split(dimensions: readonly Dimension[], table: RawTable): { own: number[]; foreign: number[] } {
  const all = dimensions.map((_, i) => i)
  const own = all.filter((i) => tellsOf(dimensions[i]!)[table])
  return { own, foreign: all.filter((i) => !own.includes(i)) }
}

const inner = (columns: readonly string[], table: RawTable, where: readonly string[], tail = ''): string =>
  nested(`SELECT ${columns.join(', ')}\nFROM millrace.${table}\nWHERE ${allOf(where)}${tail}`)

/** SELECT over two sources, joined by session. */
function joined(columns: readonly string[], left: string, right: string, by: readonly unknown[]): string {
  return select(columns, `${left} AS hit\nINNER JOIN ${right} AS session USING session_id`, [], by)
}

/** What fromSessionsJoined joins, told apart and counted by id: less than half the time, but nothing else can be summed. */
function fromSessionsCounted(question: Question, binder: Binder): string {
  const { dimensions, filter } = question
  const table: RawTable = filter && isOfSessions(filter) ? 'sessions' : 'hits'
  const chosen = filterRows(filter, table, question, binder)
  const ofSessions = [...ownRows('sessions', question, binder), ...duringPeriod('sessions', question, binder)]
  ofSessions.push(...(table === 'sessions' ? chosen : []))
  const alive = (conditions: readonly string[]): string =>
    inner(['session_id'], 'sessions', conditions, '\nGROUP BY session_id\nHAVING sum(sign) > 0')
  const bounced = alive([...ofSessions, 'is_bounce = 1'])
  const byPath = filter === null && dimensions.length === 1 && dimensions[0]!.name === 'path'
  const asksBounces = measuresOf(question.metrics).sessions.includes('bounces')
  const sums = (isOf: string | undefined): Sums => ({
    sessions: isOf ? distinctOfFew('session_id', isOf) : 'uniqExact(session_id)',
    ...(!byPath && { bounces: `uniqExactIf(session_id, session_id IN ${bounced})` }),
  })
  const where = [...ownRows('hits', question, binder), ...aroundPeriod(2, question, binder)]
  where.push(...havingValues(dimensions, 'hits', binder), ...(table === 'hits' ? chosen : []))
  const values = dimensions.map((dimension, i) => `${dimensionSql(dimension, 'hits', question, binder)} AS ${alias(i)}`)
  const isOf = question.likely && isOfFew(question.likely, binder)
  const during = table === 'hits' ? sessionsByDay(question, binder) : null
  const ofBounces = byPath && asksBounces ? bouncesByPath(ofSessions, question, binder) : []
  if (during === null) {
    where.push(`session_id IN ${alive(ofSessions)}`)
    const counted = select([...values, ...measures(sums(isOf), question)], 'millrace.hits', where, dimensions)
    return combine([counted, ...ofBounces], question)
  }
  const hits = (conditions: readonly string[]): string =>
    `SELECT ${['session_id', ...values, ...(isOf ? [`${isOf} AS is_of_few`] : [])].join(', ')}
FROM millrace.hits\nWHERE ${allOf([...where, ...conditions])}`
  const { inside, border } = during
  const rows = [hits([inside, 'session_id != 0'])]
  if (border === null) {
    rows.push(hits([`NOT (${inside})`, `session_id IN ${alive([...ofSessions, `NOT (${during.farInside})`])}`]))
  } else {
    const own = ownRows('sessions', question, binder)
    const others = `session_id NOT IN ${alive([...own, border.others])}`
    rows.push(hits([border.days, `NOT (${inside})`, 'session_id != 0', others]))
    rows.push(hits([`NOT (${border.days})`, `session_id IN ${alive([...ofSessions, border.beyond])}`]))
  }
  const keys = dimensions.map((_, i) => alias(i))
  const counted = select(
    [...keys, ...measures(sums(isOf && 'is_of_few'), question)],
    nested(rows.join('\nUNION ALL\n')),
    [],
    dimensions,
  )
  return combine([counted, ...ofBounces], question)
}

/**
 * A session that bounced has one page, the entry page; only an event that is not interactive may have another path. (One that
 * has that of the entry page as known when it came has it still: with another page the session would not have bounced.)
 */
function bouncesByPath(ofSessions: readonly string[], question: Question, binder: Binder): string[] {
  const events = [
    ...ownRows('hits', question, binder),
    ...aroundPeriod(2, question, binder),
    "type = 'event'",
    'NOT interactive',
    'path != entry_path',
    'session_id != 0',
  ]
  const ofBounced = [...ofSessions, 'is_bounce = 1']
  const bounced = [...ofBounced, `session_id IN ${inner(['session_id'], 'hits', events)}`]
  const entries = inner(
    ['session_id', 'entry_path'],
    'sessions',
    bounced,
    '\nGROUP BY session_id, entry_path\nHAVING sum(sign) > 0',
  )
  const elsewhere = joined(
    ['path AS d0', ...measures({ bounces: 'uniqExactIf(session_id, path != session.entry_path)' }, question)],
    inner(['session_id', 'path'], 'hits', events),
    entries,
    [0],
  )
  const ofEntries = measures({ bounces: OF_SESSIONS.bounces }, question)
  return [select(['entry_path AS d0', ...ofEntries], 'millrace.sessions', ofBounced, [0]), elsewhere]
}

/**
 * Days of which every hit belongs to a session that began in the period, so that only the hits of the other days need to ask;
 * and days on which the sessions of those began neither. Null for short periods.
 */
function sessionsByDay(question: Question, { bind }: Binder) {
  const days = daysInside(question)
  if (days === null) return null
  return {
    inside: dayBetween('inside', days.first, days.last, { bind }),
    farInside: dayBetween('far_inside', days.first + 2, days.last - 4, { bind }),
    border: bordersOf(question, bind),
  }
}

/**
 * The days of the period, the sessions that began on other days and may have hits on these (`others`), and those of the
 * period that may have hits on other days (`beyond`): few of a day reach over its midnight, wherever on earth that is. Null
 * where sessions that began before have no row any more.
 */
function bordersOf({ range, byDay, keptFrom }: Question, bind: Binder['bind']) {
  if (!byDay || range.days!.first < REACH_DAYS) return null
  const { first, last } = range.days!
  if (keptFrom !== null && keptFrom > first - REACH_DAYS) return null
  const date = (name: string, day: number): string => bind(name, 'Date', dateOfDay(day))
  const time = (name: string, day: number): string => bind(name, "DateTime64(3, 'UTC')", dateTime(day * DAY_MS))
  const [from, to] = [date('day_from', first), date('day_to', last)]
  return {
    days: `day BETWEEN ${from} AND ${to}`,
    others: `(
  (day BETWEEN ${from} - ${REACH_DAYS} AND ${from} - 1 AND end >= ${time('ends_inside', first - 1)})
  OR (day BETWEEN ${to} + 1 AND ${to} + ${REACH_DAYS} AND start < ${time('begins_inside', last + 2)}))`,
    beyond: `(
  (day < ${from} + ${REACH_DAYS} AND start < ${time('begins_before', first + 1)})
  OR (day > ${to} - ${REACH_DAYS} AND end >= ${time('ends_after', last)}))`,
  }
}
/** More than the days that a session may have touched: it lasts a day, and zones differ by another. */
const REACH_DAYS = 4
const DAY_MS = 86_400_000

/**
 * A session counts for every value that its (chosen) hits have, such as every path it saw, once for each. Signed rows are
 * joined as they are: what was taken back cancels in the sums.
 */
function fromSessionsJoined(question: Question, binder: Binder): string {
  const { dimensions, filter } = question
  const { own, foreign } = split(dimensions, 'sessions')
  const table: RawTable = filter && isOfSessions(filter) ? 'sessions' : 'hits'
  const chosen = filterRows(filter, table, question, binder)

  const ofHits = [...ownRows('hits', question, binder), ...aroundPeriod(2, question, binder)]
  ofHits.push(...havingValues(pick(dimensions, foreign), 'hits', binder), ...(table === 'hits' ? chosen : []))
  const values = foreign.map((i) => `${dimensionSql(dimensions[i]!, 'hits', question, binder)} AS ${alias(i)}`)
  const hits = valuesOfSessions(values, foreign.map(alias), ofHits, question, binder)

  const ofSessions = [...ownRows('sessions', question, binder), ...duringPeriod('sessions', question, binder)]
  ofSessions.push(...(table === 'sessions' ? chosen : []))
  const keys = own.map((i) => `${dimensionSql(dimensions[i]!, 'sessions', question, binder)} AS ${alias(i)}`)
  const columns = ['session_id', 'sign', 'is_bounce', 'duration_ms', 'page_views', ...keys]
  const shown = dimensions.map((_, i) => alias(i))
  const sums = measures(OF_SESSIONS, question)
  return joined([...shown, ...sums], hits, inner(columns, 'sessions', ofSessions), dimensions)
}

/**
 * The distinct values of each session. Hits are sorted by day and session, so that within a day they are told apart in
 * the order in which they are read (half the time of a hash table of all); the few sessions that have hits of two days
 * are asked once more, over both.
 */
function valuesOfSessions(
  values: readonly string[],
  names: readonly string[],
  where: readonly string[],
  question: Question,
  binder: Binder,
): string {
  const zone = binder.bind('site_zone', 'String', question.siteZone)
  const ofLong = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder)]
  ofLong.push(`toDate(end, ${zone}) != day`)
  const long = nested(`SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(ofLong)}`)
  const distinct = (condition: string, by: string, tail: string): string =>
    `SELECT session_id, ${values.join(', ')}\nFROM millrace.hits\nWHERE ${allOf([...where, condition])}\nGROUP BY ${by}${tail}`
  return nested(
    [
      distinct(
        `session_id NOT IN ${long}`,
        ['day', 'session_id', ...names].join(', '),
        '\nSETTINGS optimize_aggregation_in_order = 1',
      ),
      distinct(`session_id IN ${long}`, ['session_id', ...names].join(', '), ''),
    ].join('\nUNION ALL\n'),
  )
}

/** Hits count under what only their session knows (the exit page) by a join. */
function fromHitRows(rows: 'hits' | 'views', from: string, sums: Sums, question: Question, binder: Binder): string {
  const { dimensions } = question
  const { own, foreign } = split(dimensions, 'hits')
  if (foreign.length === 0) return grouped(rows, from, sums, question, binder)
  const keys = (indices: readonly number[], table: RawTable) =>
    indices.map((i) => `${dimensionSql(dimensions[i]!, table, question, binder)} AS ${alias(i)}`)

  const where = whereOf(rows, { ...question, dimensions: pick(dimensions, own) }, binder)
  const hits = nested(`SELECT ${['*', ...keys(own, 'hits')].join(', ')}\nFROM ${from}\nWHERE ${allOf(where)}`)
  const ofSessions = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder)]
  const byKeys = `\nGROUP BY ${['session_id', ...foreign.map(alias)].join(', ')}\nHAVING sum(sign) > 0`
  const sessions = inner(['session_id', ...keys(foreign, 'sessions')], 'sessions', ofSessions, byKeys)
  const shown = dimensions.map((_, i) => alias(i))
  return joined([...shown, ...measures(sums, question)], hits, sessions, dimensions)
}

/** Dated by the start of their session. What its row does not say of the page view is looked up in the hits. */
function fromPages(rows: PageRows, question: Question, binder: Binder): string {
  const asked = [...question.dimensions, ...ownConditionsOf(question.filter).map(({ dimension }) => dimension)]
  const unknown = asked.filter((dimension) => !tellsOfPage(dimension, rows))
  const columns = [...new Set(unknown.flatMap(hitColumnsOf))]
  if (columns.length === 0) return grouped(rows, 'millrace.sessions', OF_PAGES[rows], question, binder)
  const where = [...ownRows('views', question, binder), ...aroundPeriod(2, question, binder)]
  const page = `${rows === 'entries' ? 'argMin' : 'argMax'}(tuple(${columns.join(', ')}), (time, ko, ki)) AS page`
  const shown = columns.map((column, i) => `tupleElement(page, ${i + 1}) AS ${column}`)
  const pages = nested(
    `SELECT session_id, ${shown.join(', ')}\nFROM ${inner(['session_id', page], 'hits', where, '\nGROUP BY session_id')}`,
  )
  const ofSessions = [...ownRows('sessions', question, binder), ...duringPeriod('sessions', question, binder)]
  const from = `${inner(['*'], 'sessions', ofSessions)} AS session\nINNER JOIN ${pages} AS page_view USING session_id`
  return grouped(rows, from, OF_PAGES[rows], question, binder)
}

const pick = <T>(list: readonly T[], indices: readonly number[]): T[] => indices.map((i) => list[i]!)

/** Puts sources side by side: each fills its own measures, one row for each value of the dimensions. */
export function combine(parts: readonly string[], question: Question): string {
  if (parts.length === 1) return parts[0]!
  const sums = allMeasures(question.metrics).map((measure) => `sum(m_${measure}) AS m_${measure}`)
  const keys = [...question.dimensions.map((_, i) => alias(i)), ...marksOf(question)]
  return selectBy([...keys, ...sums], nested(parts.join('\nUNION ALL\n')), [], keys)
}

/** SQL of a metric over its measures; null where it is undefined. */
function metricSql({ of, per, given }: Metric, sum = (measure: Measure): string => `m_${measure}`): string {
  const value = per ? `${sum(of)} / ${sum(per)}` : sum(of)
  const known = per ?? given
  return known ? `if(${sum(known)} = 0, NULL, ${value})` : value
}

const DISTINCT: readonly Measure[] = ['visitors', 'converted', 'conversions']
const isSum = (measure: Measure): boolean => !DISTINCT.includes(measure) && !measure.startsWith('request_p')

/**
 * Whether the sums of all rows are the totals: every measure is a sum, and every row of the tables has one value of each
 * dimension, by itself.
 */
export function rowsAddUp({ metrics, dimensions }: Question): boolean {
  const { hits, views, sessions, entries, exits } = measuresOf(metrics)
  if (!allMeasures(metrics).every(isSum)) return false
  return dimensions.every((dimension) => {
    if (dimension.kind === 'map' || (dimension.kind === 'column' && dimension.only)) return false
    const tells = tellsOf(dimension)
    if (hits.length + views.length > 0 && !tells.hits) return false
    if (sessions.length > 0 && !tells.sessions) return false
    if (entries.length > 0 && !tellsOfPage(dimension, 'entries')) return false
    return exits.length === 0 || tellsOfPage(dimension, 'exits')
  })
}

export interface RowsOptions {
  /** ORDER BY and LIMIT in SQL; without, all rows in any order. */
  readonly order: readonly string[] | null
  readonly limit: number
  readonly offset: number
  /** Further conditions on d0, d1, … */
  readonly where: readonly string[]
  /** Each row has the totals too, as t_… */
  readonly totals: boolean
}

/** The rows: those of which at least one asked number is not 0. `row_count` is how many there are before LIMIT. */
export function selectRows(source: string, question: Question, options: RowsOptions, { bind }: Binder): string {
  const counted = allMeasures(question.metrics).map((measure) => `m_${measure} != 0`)
  if (question.rolledUp) counted.push('is_total')
  const metrics = question.metrics.map((name) => `${metricSql(METRICS[name])} AS ${name}`)
  const columns = [...question.dimensions.map((_, i) => alias(i)), ...metrics]
  const sumOfAll = (measure: Measure): string => `sum(m_${measure}) OVER ()`
  if (options.totals)
    columns.push(...question.metrics.map((name) => `${metricSql(METRICS[name], sumOfAll)} AS t_${name}`))
  columns.push(...marksOf(question))
  if (options.order) columns.push('toUInt32(count() OVER ()) AS row_count')
  const sql = select(columns, nested(source), [`(${counted.join(' OR ')})`, ...options.where], [])
  if (!options.order) return sql
  const page = `LIMIT ${bind('limit', 'UInt32', options.limit)} OFFSET ${bind('offset', 'UInt32', options.offset)}`
  return `${sql}\nORDER BY ${options.order.join(', ')}\n${page}`
}

/** All numbers of the question in one row, or one for each period. */
export function selectTotals(source: string, question: Question): string {
  const metrics = question.metrics.map((name) => `${metricSql(METRICS[name])} AS ${name}`)
  return select([...metrics, ...marksOf(question)], nested(source), [], [])
}
