/** Which rows a deletion by filter takes, as SQL. */

import type { Question } from '../query/question.ts'
import { chosenHits } from '../query/reports/scope.ts'
import { aroundPeriod, ownRows } from '../query/rows-of.ts'
import { allOf, type Binder, nested } from '../query/statement.ts'

/**
 * A filter takes page views and events, as it chooses them in a query. With them go the engagement signals of these page
 * views, duplicates of these hits, and of sessions that have no page view or event left the other signals.
 */
export function chosenRows(question: Question, binder: Binder): string {
  const chosen = (columns: string, more: readonly string[] = []): string =>
    nested(`SELECT ${columns}\nFROM millrace.hits\nWHERE ${allOf([...chosenHits(question, binder), ...more])}`)
  const left = [
    ...ownRows('hits', question, binder),
    ...aroundPeriod(3, question, binder),
    `session_id IN ${chosen('session_id', ['session_id != 0'])}`,
  ]
  const emptied = nested(
    `SELECT session_id\nFROM millrace.hits\nWHERE ${allOf(left)}\nGROUP BY session_id\nHAVING countIf((kp, ko, ki) NOT IN ${chosen('kp, ko, ki')}) = 0`,
  )
  const [site] = ownRows('sessions', question, binder)
  return `SELECT site, day, time, session_id, visitor_id, type, verdict, kp, ko, ki, session_id IN ${emptied} AS emptied
FROM millrace.hits
WHERE ${allOf([site!, ...aroundPeriod(3, question, binder)])}
  AND ((kp, ko, ki) IN ${chosen('kp, ko, ki')}
    OR (verdict = 'duplicate' AND hit_id IN ${chosen('hit_id')})
    OR (verdict = 'keep' AND type = 'engagement' AND (session_id IN ${emptied} OR page_id IN ${chosen('hit_id', ["type = 'page_view'"])})))`
}

const HITS = "verdict = 'keep' AND type != 'engagement'"

/** How much the rows are, by their day. `sessions` lose hits, `sessions_deleted` of them all that they had. */
export const countRows = (
  rows: string,
): string => `SELECT toString(day) AS date, grouping(day) = 1 AS is_total, toFloat64(count()) AS rows,
  toFloat64(countIf(${HITS} AND type = 'page_view')) AS page_views,
  toFloat64(countIf(${HITS} AND type = 'event')) AS events,
  toFloat64(uniqExactIf(visitor_id, ${HITS})) AS visitors,
  toFloat64(uniqExactIf(session_id, ${HITS} AND session_id != 0)) AS sessions,
  toFloat64(uniqExactIf(session_id, ${HITS} AND session_id != 0 AND emptied)) AS sessions_deleted
FROM ${nested(rows)}
GROUP BY GROUPING SETS ((day), ())
ORDER BY is_total, date`

/** Puts the rows where nothing shows them. */
export const hideRows = (rows: string, binder: Binder, id: string): string =>
  `INSERT INTO millrace.hidden_hits (site, deletion, time, session_id, kp, ko, ki)
SELECT site, ${binder.bind('deletion', 'String', id)}, time, session_id, kp, ko, ki\nFROM ${nested(rows)}`
