import { predicate } from './filter-sql.ts'
import type { Goal } from './goals.ts'
import { fitsPath } from './path-pattern.ts'
import type { Question } from './question.ts'
import { aroundPeriod, ownRows } from './rows-of.ts'
import { allOf, type Binder, nested } from './statement.ts'

/** SQL, true for a hit that reaches the goal. For a duration: for every hit of a session that lasted so long. */
export function reaches({ is }: Goal, question: Question, binder: Binder): string {
  switch (is.type) {
    case 'page':
      return `(type = 'page_view' AND ${fitsPath(is.path, binder)})`
    case 'event': {
      const named = `type = 'event' AND event_name = ${binder.add('String', is.eventName)}`
      return is.filter ? `(${named} AND ${predicate(is.filter, 'hits', question, binder)})` : `(${named})`
    }
    case 'scroll': {
      const far = nested(scrolledPages(is.percent, question, binder))
      return `(type = 'page_view' AND ${fitsPath(is.path, binder)} AND (session_id, hit_id) IN ${far})`
    }
    case 'duration':
      return `(session_id IN ${nested(longSessions(is.durationMs, question, binder))})`
  }
}

/** Conversions of hits: each that reaches a goal counts once for each goal, a session that lasts once. */
export function conversionsSql(question: Question, binder: Binder): string {
  const counts = question.goals.map((goal) =>
    goal.is.type === 'duration'
      ? `uniqExactIf(session_id, ${reaches(goal, question, binder)})`
      : `countIf(${reaches(goal, question, binder)})`,
  )
  return counts.length > 0 ? counts.join(' + ') : '0'
}

/** Visitors that reached any goal. */
export function convertedSql(question: Question, binder: Binder): string {
  const any = question.goals.map((goal) => reaches(goal, question, binder))
  return any.length > 0 ? `uniqExactIf(visitor_id, ${any.join(' OR ')})` : '0'
}

function scrolledPages(percent: number, question: Question, binder: Binder): string {
  const where = [
    ...ownRows('signals', question, binder),
    ...aroundPeriod(2, question, binder),
    `scroll_percent >= ${binder.add('UInt8', percent)}`,
  ]
  return `SELECT session_id, page_id\nFROM millrace.hits\nWHERE ${allOf(where)}`
}

function longSessions(durationMs: number, question: Question, binder: Binder): string {
  const where = [
    ...ownRows('sessions', question, binder),
    ...aroundPeriod(2, question, binder),
    `duration_ms >= ${binder.add('UInt32', durationMs)}`,
  ]
  return `SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(where)}\nGROUP BY session_id\nHAVING sum(sign) > 0`
}
