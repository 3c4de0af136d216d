import { Type } from '@sinclair/typebox'
import { checkGoalPatterns } from '../check-patterns.ts'
import { conversionsSql, reaches } from '../goal-sql.ts'
import type { Goal } from '../goals.ts'
import { allOf } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenHits, select } from './scope.ts'

/** Each goal of the site: conversions, visitors that reached it, their share of all, and what the conversions are worth. */
export const goalList: NamedReport = {
  fields: Type.Object({}),
  async answer(_, scope) {
    const { goals } = scope.question
    await checkGoalPatterns(goals, scope.store)
    const [found] = await select<Record<string, number>>(scope, (binder) => {
      const columns = goals.map((goal, i) => {
        const reached = reaches(goal, scope.question, binder)
        return `toFloat64(${conversionsSql({ ...scope.question, goals: [goal] }, binder)}) AS c${i},
  toFloat64(uniqExactIf(visitor_id, ${reached})) AS v${i}, toFloat64(sumIf(value, type = 'event' AND ${reached})) AS r${i}`
      })
      return `SELECT toFloat64(uniqExact(visitor_id)) AS visitors${columns.map((column) => `,\n  ${column}`).join('')}
FROM millrace.hits
WHERE ${allOf(chosenHits(scope.question, binder))}`
    })
    const visitors = found?.visitors ?? 0
    return { rows: goals.map((goal, i) => rowOf(goal, found!, i, visitors)), totals: { visitors } }
  },
}

function rowOf({ id, name, is, value, currency }: Goal, found: Record<string, number>, i: number, visitors: number) {
  const [conversions, converted, revenue] = [found[`c${i}`]!, found[`v${i}`]!, found[`r${i}`]!]
  return {
    goal: id,
    name,
    type: is.type,
    conversions,
    visitors: converted,
    conversion_rate: visitors === 0 ? null : converted / visitors,
    revenue: value === null ? (is.type === 'event' ? revenue : 0) : conversions * value,
    ...(currency !== '' && { currency }),
  }
}
