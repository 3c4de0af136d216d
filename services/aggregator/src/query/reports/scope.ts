import type { Store } from '@millrace/store'
import { filterRows } from '../filter-sql.ts'
import type { ReportQuery } from '../parse-query.ts'
import type { Question } from '../question.ts'
import { duringPeriod, ownRows } from '../rows-of.ts'
import { type Binder, createBinder } from '../statement.ts'

/** What a named report is asked of: site, period, filter and bots, as understood. */
export interface Scope {
  readonly query: ReportQuery
  readonly question: Question
  readonly store: Pick<Store, 'query'>
  readonly nowMs: number
}

/** Asks the store a SELECT that is made with a binder of its own. */
export function select<Row>({ store }: Pick<Scope, 'store'>, make: (binder: Binder) => string): Promise<Row[]> {
  const binder = createBinder()
  const sql = make(binder)
  return store.query<Row>(sql, { params: binder.params })
}

/** WHERE of the page views and events that the question chooses. */
export const chosenHits = (question: Question, binder: Binder): string[] => [
  ...ownRows('hits', question, binder),
  ...duringPeriod('hits', question, binder),
  ...filterRows(question.filter, 'hits', question, binder),
]

/** WHERE of the session rows that the question chooses. */
export const chosenSessions = (question: Question, binder: Binder): string[] => [
  ...ownRows('sessions', question, binder),
  ...duringPeriod('sessions', question, binder),
  ...filterRows(question.filter, 'sessions', question, binder),
]

/** LIMIT and OFFSET of the query. */
export const page = ({ query }: Scope, { bind }: Binder): string =>
  `LIMIT ${bind('limit', 'UInt32', query.limit)} OFFSET ${bind('offset', 'UInt32', query.offset)}`

/** 16 hex digits of a UInt64 column, as ids are written everywhere. */
export const hexId = (column: string): string => `lower(leftPad(hex(${column}), 16, '0'))`
/** A time column as RFC 3339 with milliseconds. */
export const timeText = (column: string): string =>
  `concat(replaceOne(toString(toTimeZone(${column}, 'UTC')), ' ', 'T'), 'Z')`
