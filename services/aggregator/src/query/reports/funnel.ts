import type { FieldError } from '@millrace/shared'
import { type Static, Type } from '@sinclair/typebox'
import { checkPatterns } from '../check-patterns.ts'
import { type Filter, parseFilter } from '../filter.ts'
import { predicate } from '../filter-sql.ts'
import { refusal } from '../parse-query.ts'
import { fitsPath } from '../path-pattern.ts'
import type { Question } from '../question.ts'
import { aroundPeriod, duringPeriod, ownRows } from '../rows-of.ts'
import { allOf, type Binder, nested } from '../statement.ts'
import type { NamedReport } from './named-report.ts'
import { chosenSessions, select } from './scope.ts'

const Step = Type.Object(
  {
    name: Type.Optional(Type.String({ maxLength: 128 })),
    path: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 4_096,
        description: 'Page view; pattern: `*` = anything but a slash, `**` = anything',
      }),
    ),
    event_name: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'Event' })),
    filter: Type.Optional(Type.Unknown({ description: 'Conditions on the page view or event' })),
  },
  { additionalProperties: false },
)
const Fields = Type.Object({
  steps: Type.Array(Step, {
    minItems: 2,
    maxItems: 20,
    description: 'In order; each by path, event_name, filter, or several of them',
  }),
  order: Type.Optional(
    Type.Union([Type.Literal('loose'), Type.Literal('strict')], {
      description: 'strict: nothing else between two steps; loose (default): anything may be',
    }),
  ),
  window_minutes: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 44_640,
      description: 'Longest time from the first step to the last; 1,440 if left out',
    }),
  ),
  across: Type.Optional(
    Type.Union([Type.Literal('session'), Type.Literal('visitor')], {
      description: 'Whose steps count together: of one session (default), or of all sessions of a visitor',
    }),
  ),
})
type Fields = Static<typeof Fields>

/** How many sessions, or visitors, came how far through steps that follow each other in time. */
export const funnel: NamedReport = {
  fields: Fields,
  async answer(fields, scope) {
    const { steps, order = 'loose', window_minutes = 1_440, across = 'session' } = fields as Fields
    const filters = readFilters(steps)
    await checkPatterns(filters, scope.store)
    const found = await select<Found>(scope, (binder) => {
      const conditions = steps.map((step, i) => conditionOf(step, filters[i]!, scope.question, binder))
      const window = binder.bind('window', 'Int64', window_minutes * 60_000)
      const rules: Rules = { order, window, key: across === 'session' ? 'session_id' : 'visitor_id' }
      const levels = levelsSql(conditions, rules, scope.question, binder)
      return `SELECT toFloat64(level) AS level, toFloat64(count()) AS n\nFROM ${nested(levels)}\nGROUP BY level`
    })
    return { rows: stepsOf(steps, found) }
  },
}

/** How many took so many steps and no more. */
interface Found {
  readonly level: number
  readonly n: number
}

interface Rules {
  readonly order: 'loose' | 'strict'
  /** Placeholder of the window in milliseconds. */
  readonly window: string
  /** Whose steps count together. */
  readonly key: 'session_id' | 'visitor_id'
}

/**
 * How far each session, or visitor, came that took the first step: nobody else needs to be gone through, nor, of these, who
 * never took the second. Its hits are gone through in order with, for each step, the latest first step of a chain that reaches
 * it (0 = none), and whether it was ever reached. (windowFunnel lets one hit be two steps when a step comes twice, and takes
 * two hits of one millisecond for no sequence.)
 */
function levelsSql(conditions: readonly string[], rules: Rules, question: Question, binder: Binder): string {
  const where = hitsOf(rules, question, binder)
  const began = nested(`SELECT ${rules.key}\nFROM millrace.hits\nWHERE ${allOf([...where, conditions[0]!])}`)
  const bits = conditions.map((condition, i) => `bitShiftLeft(toUInt32(${condition}), ${i})`).join(' + ')
  // Loosely ordered, what fits no step cannot matter.
  const candidates = rules.order === 'loose' ? [`(${conditions.join(' OR ')})`] : []
  // One number, in the order of the log: lists of tuples take nearly twice as long to make.
  const hit = `bitShiftLeft(toUInt256(toUnixTimestamp64Milli(time)), 128) + bitShiftLeft(toUInt256(ko), 64)
    + bitShiftLeft(toUInt64(ki), 32) + ${bits}`
  const hits = `SELECT groupArray(${hit}) AS taken, if(countIf(${conditions[1]}) > 0, arraySort(taken), []) AS sorted,
  arrayMap(hit -> (toInt64(bitShiftRight(hit, 128)), toUInt32(bitAnd(hit, 4294967295))), sorted) AS steps
FROM millrace.hits
WHERE ${allOf([...where, `${rules.key} IN ${began}`, ...candidates])}
GROUP BY ${rules.key}`
  return `SELECT greatest(${levelOf(conditions.length, rules)}, 1) AS level\nFROM ${nested(hits)}`
}

/** Number of steps that the hits of `steps`, in order, take. */
function levelOf(n: number, { order, window }: Rules): string {
  const steps = Array.from({ length: n }, (_, i) => i + 1)
  const reached = (k: number): string =>
    `bitTest(hit.2, ${k - 1})${k === 1 ? '' : ` AND acc[${k - 1}] != 0 AND hit.1 - acc[${k - 1}] <= ${window}`}`
  const strict = order === 'strict'
  const started = (k: number): string => (k === 1 ? 'hit.1' : `acc[${k - 1}]`)
  const starts = steps.map((k) => `if(${reached(k)}, ${started(k)}, ${strict ? '0' : `acc[${k}]`})`)
  const ever = steps.map((k) => `toInt64(acc[${n + k}] != 0 OR (${reached(k)}))`)
  const fold = `arrayFold((acc, hit) -> [${[...starts, ...ever].join(',\n    ')}],
    steps, arrayWithConstant(${2 * n}, toInt64(0)))`
  return `arraySum(arraySlice(${fold}, ${n + 1}))`
}

function hitsOf({ key }: Pick<Rules, 'key'>, question: Question, binder: Binder): string[] {
  const where = [...ownRows('hits', question, binder), ...duringPeriod('hits', question, binder)]
  if (key === 'session_id') where.push('session_id != 0')
  if (question.filter === null) return where
  return [...where, `session_id IN ${nested(sessionsAround(question, binder))}`]
}

/** Sessions that the filter chooses, whenever they began. */
function sessionsAround(question: Question, binder: Binder): string {
  const chosen = chosenSessions(question, binder).slice(ownRows('sessions', question, binder).length)
  const filter = chosen.slice(duringPeriod('sessions', question, binder).length)
  const where = [...ownRows('sessions', question, binder), ...aroundPeriod(2, question, binder), ...filter]
  return `SELECT session_id\nFROM millrace.sessions\nWHERE ${allOf(where)}\nGROUP BY session_id\nHAVING sum(sign) > 0`
}

function conditionOf(step: Static<typeof Step>, filter: Filter | null, question: Question, binder: Binder): string {
  const parts: string[] = []
  if (step.path !== undefined) parts.push(`type = 'page_view'`, fitsPath(step.path, binder))
  if (step.event_name !== undefined)
    parts.push(`type = 'event'`, `event_name = ${binder.add('String', step.event_name)}`)
  if (filter) parts.push(predicate(filter, 'hits', question, binder))
  return `(${parts.join(' AND ')})`
}

/** @throws MillraceError with every mistake */
function readFilters(steps: Fields['steps']): (Filter | null)[] {
  const errors: FieldError[] = []
  const filters = steps.map(({ path, event_name, filter }, i) => {
    if (path === undefined && event_name === undefined && filter === undefined)
      errors.push({
        code: 'field_missing',
        pointer: `/steps/${i}/path`,
        detail: 'is missing, or event_name, or filter',
      })
    return filter === undefined ? null : parseFilter(filter, `/steps/${i}/filter`, errors)
  })
  if (errors.length > 0) throw refusal(errors)
  return filters
}

function stepsOf(steps: Fields['steps'], found: readonly Found[]): object[] {
  const reached = steps.map((_, i) => found.reduce((sum, { level, n }) => (level > i ? sum + n : sum), 0))
  const rate = (part: number, of: number): number | null => (of === 0 ? null : part / of)
  return steps.map(({ name, path, event_name }, i) => {
    const [count, before] = [reached[i]!, i === 0 ? reached[0]! : reached[i - 1]!]
    return {
      step: i + 1,
      name: name ?? event_name ?? path ?? `Step ${i + 1}`,
      count,
      rate: rate(count, reached[0]!),
      step_rate: rate(count, before),
      dropped: before - count,
    }
  })
}
