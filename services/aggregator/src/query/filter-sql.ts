import { WEEK_STARTS } from './buckets.ts'
import { type Dimension, tellsOf } from './dimensions.ts'
import { type Condition, type Filter, isNumeric, ownConditionsOf } from './filter.ts'
import type { Question } from './question.ts'
import { aroundPeriod, dimensionSql, ownRows, type Rows, TIME_COLUMN } from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'

/**
 * A filter chooses hits; sessions are those that a chosen hit belongs to. What the session itself can tell (its
 * browser, country, source) is asked of its own row.
 */
export function filterRows(filter: Filter | null, table: Rows, question: Question, binder: Binder): string[] {
  if (filter === null) return []
  if (table !== 'sessions' || isOfSessions(filter)) return [predicate(filter, table, question, binder)]
  return [`session_id IN ${nested(sessionsOfHits(filter, question, binder))}`]
}

/** Whether session rows can tell all of a filter. */
export const isOfSessions = (filter: Filter): boolean =>
  ownConditionsOf(filter).every(({ dimension }) => tellsOf(dimension).sessions)

/** Sessions that have a page view or event which the filter chooses. */
export function sessionsOfHits(filter: Filter, question: Question, binder: Binder): string {
  const where = [
    ...ownRows('hits', question, binder),
    ...aroundPeriod(2, question, binder),
    'session_id != 0',
    predicate(filter, 'hits', question, binder),
  ]
  return `SELECT session_id\nFROM millrace.hits\nWHERE ${allOf(where)}`
}

/** Sessions that a condition on their own row chooses, as they are now: a row that was taken back does not count. */
function sessionsWith(condition: Condition, question: Question, binder: Binder): string {
  const where = [
    ...ownRows('sessions', question, binder),
    ...aroundPeriod(2, question, binder),
    test(condition, 'sessions', question, binder),
  ]
  return `SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(where)}\nGROUP BY session_id\nHAVING sum(sign) > 0`
}

/** SQL of a filter over rows. */
export function predicate(filter: Filter, table: Rows, question: Question, binder: Binder): string {
  switch (filter.kind) {
    case 'not':
      return `NOT ${predicate(filter.part, table, question, binder)}`
    case 'and':
    case 'or': {
      const parts = filter.parts.map((part) => predicate(part, table, question, binder))
      return `(${parts.join(` ${filter.kind.toUpperCase()} `)})`
    }
    case 'session':
      return `session_id IN ${nested(sessionsOfHits(filter.part, question, binder))}`
    case 'condition':
      if (table === 'entries' || table === 'exits' || tellsOf(filter.dimension)[table === 'sessions' ? table : 'hits'])
        return test(filter, table, question, binder)
      return `session_id IN ${nested(sessionsWith(filter, question, binder))}`
  }
}

function test(condition: Condition, table: Rows, question: Question, binder: Binder): string {
  const { dimension, operator, values } = condition
  if (operator.endsWith('_not')) {
    const positive = operator.slice(0, -4) as 'is' | 'contains' | 'matches'
    return `NOT ${test({ ...condition, operator: positive }, table, question, binder)}`
  }
  const numeric = isNumeric(dimension, operator)
  const value = numeric ? numberOf(dimension, table, question, binder) : textOf(dimension, table, question, binder)
  switch (operator) {
    case 'is':
      return numeric
        ? `(${value} IN ${binder.add('Array(Float64)', values)})`
        : `(${value} IN ${binder.add('Array(String)', values.map(String))})`
    case 'contains':
      return anyOf(values.map((part) => `position(${value}, ${binder.add('String', String(part))}) > 0`))
    case 'matches':
      return anyOf(values.map((pattern) => `match(${value}, ${binder.add('String', String(pattern))})`))
    default: {
      const sign = operator === 'greater' ? '>' : '<'
      if (dimension.kind === 'map') return compareProperty(dimension.key, sign, values[0], binder)
      return `(${value} ${sign} ${numeric ? binder.add('Float64', values[0]) : binder.add('String', String(values[0]))})`
    }
  }
}

const anyOf = (tests: readonly string[]): string => `(${tests.join(' OR ')})`

/** A missing property is neither greater nor less than anything. */
function compareProperty(name: string, sign: string, limit: unknown, binder: Binder): string {
  const key = binder.add('String', name)
  return `(mapContains(props_number, ${key}) AND props_number[${key}] ${sign} ${binder.add('Float64', limit)})`
}

const numberOf = (dimension: Dimension, table: Rows, question: Question, binder: Binder): string =>
  `toFloat64(${dimensionSql(dimension, table, question, binder)})`

/** Text of each bucket as answers show it, so that it can be asked for, and sorts like time. */
const LABELS = { minute: '%Y-%m-%dT%H:%i', hour: '%Y-%m-%dT%H:00', day: '%F', month: '%Y-%m', year: '%Y' } as const

function textOf(dimension: Dimension, table: Rows, question: Question, binder: Binder): string {
  if (dimension.kind !== 'bucket') return `toString(${dimensionSql(dimension, table, question, binder)})`
  const zone = binder.bind('zone', 'String', question.zone.zone)
  const time = TIME_COLUMN[table]
  if (dimension.unit === 'week') {
    const shift = WEEK_STARTS[question.weekStart] - 1
    const monday = `toMonday(toDate(${time}, ${zone}) - ${shift})`
    return `toString(${monday} + ${shift})`
  }
  return `formatDateTime(${time}, '${LABELS[dimension.unit]}', ${zone})`
}
