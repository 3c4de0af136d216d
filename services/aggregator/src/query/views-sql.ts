import { hitColumnsOf } from './dimensions.ts'
import { ownConditionsOf } from './filter.ts'
import { sessionsOfHits } from './filter-sql.ts'
import { measuresOf } from './metrics.ts'
import type { Question } from './question.ts'
import { aroundPeriod, ownRows } from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'

/**
 * Page views in sessions, as a source of rows with `seen_ms` (to the next page view, else to the last engagement signal
 * of the page, else null) and `depth` (deepest point in percent, 0 = not measured).
 */
export function seenViews(question: Question, binder: Binder): string {
  const { views } = measuresOf(question.metrics)
  const timed = views.includes('seen_ms')
  const where = [...ownRows('views', question, binder), ...aroundPeriod(2, question, binder), 'session_id != 0']
  // Neighbours of a chosen page view have to be there too, chosen or not: its session is read whole.
  if (question.filter) where.push(`session_id IN ${nested(sessionsOfHits(question.filter, question, binder))}`)
  const window = '(PARTITION BY session_id ORDER BY time, ko, ki ROWS BETWEEN CURRENT ROW AND 1 FOLLOWING)'
  const next = timed ? `leadInFrame(toUnixTimestamp64Milli(time), 1, 0) OVER ${window}` : '0'
  const pages = nested(
    `SELECT ${columnsOf(question).join(', ')}, ${next} AS next_at\nFROM millrace.hits\nWHERE ${allOf(where)}`,
  )
  const seen = `multiIf(next_at > 0, next_at - toUnixTimestamp64Milli(time),
    signal_at > 0, greatest(signal_at - toUnixTimestamp64Milli(time), 0), NULL) AS seen_ms`
  return nested(
    `SELECT *, ${seen}\nFROM ${pages} AS page\nLEFT JOIN ${signals(question, binder)} AS signal USING (session_id, hit_id)`,
  )
}

/** What the question asks of a page view, spelled out: the engine would read all columns of a `*` below a window. */
function columnsOf({ dimensions, filter }: Question): string[] {
  const asked = [...dimensions, ...ownConditionsOf(filter).map(({ dimension }) => dimension)]
  const columns = asked.flatMap((dimension) => {
    if (dimension.kind === 'map') return hitColumnsOf(dimension)
    return dimension.kind === 'column' && dimension.hits ? [dimension.hits] : []
  })
  return [...new Set(['site', 'day', 'time', 'type', 'verdict', 'is_bot', 'session_id', 'hit_id', ...columns])]
}

/** What engagement signals say of each page: when the last one came, and the deepest point. */
function signals(question: Question, binder: Binder): string {
  const where = [...ownRows('signals', question, binder), ...aroundPeriod(2, question, binder), 'session_id != 0']
  const columns =
    'session_id, page_id AS hit_id, toUnixTimestamp64Milli(max(time)) AS signal_at, max(scroll_percent) AS depth'
  return nested(`SELECT ${columns}\nFROM millrace.hits\nWHERE ${allOf(where)}\nGROUP BY session_id, page_id`)
}
