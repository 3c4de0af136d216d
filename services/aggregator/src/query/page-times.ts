/**
 * How long and how far pages were seen, as sums over what rows say (docs/decisions/0009 and 0015): a page view of the page that it
 * left, a later signal of what it adds to one, a session of its exit page. Only sessions whose hits came in another order are read
 * hit by hit.
 */
import { dateOfDay } from '@millrace/shared'
import { type Dimension, isTime, tellsOf } from './dimensions.ts'
import { ownConditionsOf } from './filter.ts'
import type { Question } from './question.ts'
import { aroundPeriod, dayBetween, daysInside, ownRows } from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'

/** Whether rows tell a dimension of the page that they speak of: its path, its time, and all that its session has one of. */
function tellsOfPageSeen(dimension: Dimension): boolean {
  if (dimension.kind === 'map') return false
  if (dimension.kind !== 'column' || dimension.name === 'path') return true
  return dimension.hits !== null && dimension.hits === dimension.sessions && !VARIES.includes(dimension.name)
}
/** Of these a hit may have another than its session. */
const VARIES = ['hostname', 'bot_reason']

/** Whether page times are asked for by nothing but what rows tell of the page; else each page view is to be looked at. */
export function addsUp({ dimensions, filter }: Pick<Question, 'dimensions' | 'filter'>): boolean {
  const asked = ownConditionsOf(filter).map(({ dimension }) => dimension)
  return (
    dimensions.every(tellsOfPageSeen) &&
    asked.every((dimension) => tellsOfPageSeen(dimension) || !tellsOf(dimension).hits)
  )
}

/** What a row of hits says of a page that was left, and by what kind of row. */
const SAID = ['session_id', 'type', 'scroll_percent', 'previous_path', 'previous_ms', 'previous_depth']
/** Whether it is the first that measures the depth of that page: a signal that adds all of its own adds it to none. */
export const MEASURED = "(previous_depth > 0 AND (type = 'page_view' OR previous_depth = scroll_percent))"

/**
 * Pages that were left, of all sessions, by the rows that speak of them: page views, of the page that each left, and signals that
 * came later, of what they add to its depth. `path`, `time` and `day` are the left page's.
 */
export function pagesLeft(question: Question, binder: Binder): string {
  const own = [...ownRows('seen', question, binder), ...aroundPeriod(2, question, binder), "previous_path != ''"]
  const zone = binder.bind('site_zone', 'String', question.siteZone)
  const rows = (columns: readonly string[], where: readonly string[]): string =>
    `SELECT ${[...SAID, ...columnsOf(question), ...columns].join(', ')}\nFROM millrace.hits\nWHERE ${allOf(where)}`
  const at = 'time - toIntervalMillisecond(previous_ms)'
  const shown = (from: string): string => nested(`SELECT *, previous_path AS path, page_day AS day\nFROM ${from}`)
  const days = question.byDay && !asksTime(question) ? daysInside(question) : null
  if (days === null) {
    const all = rows(['time AS left_at', `toDate(${at}, ${zone}) AS page_day`], own)
    return nested(`SELECT *, left_at - toIntervalMillisecond(previous_ms) AS time\nFROM ${shown(nested(all))}`)
  }
  // Where the day of the row tells enough, its time, a third of what all of this costs, is not read.
  const inside = dayBetween('inside', days.first, days.last, binder)
  const parts = [
    rows(['day AS page_day'], [...own, inside]),
    rows([`toDate(${at}, ${zone}) AS page_day`], [...own, `NOT (${inside})`]),
  ]
  return shown(nested(parts.join('\nUNION ALL\n')))
}

/**
 * Page views of sessions out of order with `sign` 1, as seenViews has them, and with -1 what pagesLeft has of these sessions: one
 * more column is read where they are looked at, instead of leaving them out where all are added up. All of it in one pass over
 * page views and signals: seenViews, which joins them, would make it three.
 */
export function pagesOutOfOrder(question: Question, binder: Binder): string {
  const where = [...ownRows('seen', question, binder), ...aroundPeriod(2, question, binder)]
  where.push(`session_id IN ${sessionsOutOfOrder(question, binder)}`)
  const when = 'toUnixTimestamp64Milli(time)'
  const ofPage = '(PARTITION BY session_id, if(is_view, hit_id, page_id))'
  const byTime = '(PARTITION BY session_id, is_view ORDER BY time, ko, ki ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)'
  const asked = columnsOf(question)
  const hits = nested(
    `SELECT ${[...SAID, 'path', 'time', 'day', ...asked].join(', ')},
  type = 'page_view' AS is_view,
  leadInFrame(${when}, 1, 0) OVER ${byTime} AS next_at,
  maxIf(${when}, NOT is_view) OVER ${ofPage} AS signal_at,
  maxIf(scroll_percent, NOT is_view) OVER ${ofPage} AS depth
FROM millrace.hits
WHERE ${allOf(where)}`,
  )
  const seen = `multiIf(next_at > 0, next_at - ${when}, signal_at > 0, greatest(signal_at - ${when}, 0), NULL)`
  const rows = nested(
    `SELECT ${['sign', 'session_id', ...asked].join(', ')},
  if(sign = 1, path, previous_path) AS page,
  if(sign = 1, time, time - toIntervalMillisecond(previous_ms)) AS at,
  if(sign = 1, day, NULL) AS own_day,
  multiIf(sign = 1, ${seen}, is_view, previous_ms, NULL) AS page_ms,
  if(sign = 1, depth, previous_depth) AS page_depth,
  if(sign = 1, depth > 0, ${MEASURED}) AS is_measured
FROM ${hits} ARRAY JOIN [1, -1] AS sign
WHERE if(sign = 1, is_view, previous_path != '')`,
  )
  const zone = binder.bind('site_zone', 'String', question.siteZone)
  return nested(`SELECT *, page AS path, at AS time, ifNull(own_day, toDate(at, ${zone})) AS day\nFROM ${rows}`)
}

/** Whether it matters when in the period a page was seen. */
function asksTime({ dimensions, filter }: Question): boolean {
  return [...dimensions, ...ownConditionsOf(filter).map(({ dimension }) => dimension)].some(isTime)
}

/** Exit pages of sessions, as pagesLeft; `sign` is their weight, `exit_signal_at` 1970 where their time was not measured. */
export function pagesExited(question: Question, binder: Binder): string {
  const where = [
    ...ownRows('sessions', question, binder),
    ...aroundPeriod(2, question, binder),
    'page_views > 0',
    'pages_in_order',
  ]
  const columns = ['session_id', 'sign', 'exit_path', 'exit_at', 'exit_signal_at', 'exit_depth']
  const rows = nested(
    `SELECT ${[...columns, ...columnsOf(question)].join(', ')}\nFROM millrace.sessions\nWHERE ${allOf(where)}`,
  )
  const zone = binder.bind('site_zone', 'String', question.siteZone)
  return nested(`SELECT *, exit_path AS path, exit_at AS time, toDate(exit_at, ${zone}) AS day\nFROM ${rows}`)
}

/** What is asked of the session, by the names that both tables have. */
function columnsOf({ dimensions, filter }: Question): string[] {
  const asked = [...dimensions, ...ownConditionsOf(filter).map(({ dimension }) => dimension)]
  const columns = asked.flatMap((dimension) => {
    if (dimension.kind !== 'column' || dimension.name === 'path' || dimension.hits === null) return []
    return [dimension.hits]
  })
  return [...new Set(columns)]
}

/**
 * Sessions whose page times are no sums. Once out of order a session stays so: its rows need not be added up. With those
 * whose own row retention has taken, as they began on a day that is not kept.
 */
function sessionsOutOfOrder(question: Question, binder: Binder): string {
  const where = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder), 'NOT pages_in_order']
  const disordered = `SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(where)}`
  const { keptFrom, range } = question
  const first = Math.floor(range.fromMs / DAY_MS)
  if (keptFrom === null || keptFrom < first - 3) return nested(disordered)
  const from = binder.bind('kept_from', 'Date', dateOfDay(keptFrom))
  const days = `day BETWEEN ${from} AND ${from} + 1`
  const begun = [...ownRows('sessions', question, binder), days]
  const border = [
    ...ownRows('views', question, binder),
    days,
    'session_id != 0',
    `session_id NOT IN ${nested(`SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(begun)}`)}`,
  ]
  return nested(`${disordered}\nUNION ALL\nSELECT session_id\nFROM millrace.hits\nWHERE ${allOf(border)}`)
}
const DAY_MS = 86_400_000
