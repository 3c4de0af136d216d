import type { FieldError } from '@millrace/shared'
import { type Dimension, findDimension } from './dimensions.ts'

export const OPERATORS = [
  'is',
  'is_not',
  'contains',
  'contains_not',
  'matches',
  'matches_not',
  'greater',
  'less',
] as const
export type Operator = (typeof OPERATORS)[number]
type Value = string | number | boolean

/** A condition on one dimension: true if any of the values fits (of the `_not` operators: if none does). */
export interface Condition {
  readonly kind: 'condition'
  readonly dimension: Dimension
  readonly operator: Operator
  readonly values: readonly Value[]
  readonly pointer: string
}
interface Group {
  readonly kind: 'and' | 'or'
  readonly parts: readonly Filter[]
}
interface Negation {
  readonly kind: 'not'
  readonly part: Filter
}
/** True for what belongs to a session that has a page view or event which `part` chooses. */
interface OfSession {
  readonly kind: 'session'
  readonly part: Filter
}
export type Filter = Condition | Group | Negation | OfSession

const MAX_DEPTH = 10
const MAX_CONDITIONS = 100
const MAX_VALUES = 1_000
const MAX_TEXT = 4_096

/** Reads a filter as sent; every mistake is added to `errors` with its pointer. Null if there is any. */
export function parseFilter(input: unknown, pointer: string, errors: FieldError[]): Filter | null {
  const before = errors.length
  const count = { conditions: 0 }
  const filter = parsePart(input, { pointer, depth: 0, errors, count })
  if (count.conditions > MAX_CONDITIONS) errors.push(wrong(pointer, `has more than ${MAX_CONDITIONS} conditions`))
  return errors.length > before ? null : filter
}

/** Every condition of a filter. */
export function conditionsOf(filter: Filter | null): Condition[] {
  if (filter === null) return []
  if (filter.kind === 'condition') return [filter]
  return 'part' in filter ? conditionsOf(filter.part) : filter.parts.flatMap(conditionsOf)
}

/** The conditions that are asked of a row itself, not of other hits of its session. */
export function ownConditionsOf(filter: Filter | null): Condition[] {
  if (filter === null || filter.kind === 'session') return []
  if (filter.kind === 'condition') return [filter]
  return 'part' in filter ? ownConditionsOf(filter.part) : filter.parts.flatMap(ownConditionsOf)
}

/** Whether any part of a filter asks for other hits of the session. */
export function asksSession(filter: Filter | null): boolean {
  if (filter === null || filter.kind === 'condition') return false
  if (filter.kind === 'session') return true
  return 'part' in filter ? asksSession(filter.part) : filter.parts.some(asksSession)
}

/** The filter as an answer repeats it: every value in a list. */
export function showFilter(filter: Filter): unknown {
  if (filter.kind === 'condition') return { dimension: filter.dimension.name, [filter.operator]: filter.values }
  return { [filter.kind]: 'part' in filter ? showFilter(filter.part) : filter.parts.map(showFilter) }
}

/** Whether `greater` and `less` make sense: numbers, and dates whose text sorts like time. */
function isOrdered(dimension: Dimension): boolean {
  if (dimension.kind === 'column') return dimension.type !== 'String'
  return dimension.kind !== 'map' || dimension.map === 'props'
}

interface Place {
  readonly pointer: string
  readonly depth: number
  readonly errors: FieldError[]
  readonly count: { conditions: number }
}

const wrong = (pointer: string, detail: string): FieldError => ({ code: 'field_invalid', pointer, detail })

function parsePart(input: unknown, place: Place): Filter | null {
  const { pointer, depth, errors } = place
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    errors.push(
      wrong(pointer, 'must be an object: a condition {"dimension": …, "is": […]}, or "and", "or", "not", "session"'),
    )
    return null
  }
  if (depth > MAX_DEPTH) {
    errors.push(wrong(pointer, `is nested deeper than ${MAX_DEPTH}`))
    return null
  }
  const fields = Object.entries(input)
  const group = fields.find(([name]) => name === 'and' || name === 'or' || name === 'not' || name === 'session')
  if (!group) return parseCondition(fields, place)
  for (const [name] of fields) {
    if (name !== group[0])
      errors.push(wrong(`${pointer}/${pointerPart(name)}`, `does not go together with "${group[0]}"`))
  }
  const [kind, inner] = group
  if (kind === 'and' || kind === 'or') return parseGroup(kind, inner, place)
  return parseOne(kind as 'not' | 'session', inner, place)
}

function parseOne(kind: 'not' | 'session', input: unknown, place: Place): Filter | null {
  const part = parsePart(input, { ...place, pointer: `${place.pointer}/${kind}`, depth: place.depth + 1 })
  return part && { kind, part }
}

function parseGroup(kind: 'and' | 'or', input: unknown, place: Place): Filter | null {
  const pointer = `${place.pointer}/${kind}`
  if (!Array.isArray(input) || input.length === 0 || input.length > MAX_CONDITIONS) {
    place.errors.push(wrong(pointer, `must be a list of 1 to ${MAX_CONDITIONS} filters`))
    return null
  }
  const parts = input.map((part, i) =>
    parsePart(part, { ...place, pointer: `${pointer}/${i}`, depth: place.depth + 1 }),
  )
  return { kind, parts: parts.filter((part) => part !== null) }
}

function parseCondition(fields: [string, unknown][], place: Place): Condition | null {
  const { pointer, errors } = place
  place.count.conditions++
  const name = fields.find(([field]) => field === 'dimension')?.[1]
  const dimension = typeof name === 'string' ? findDimension(name) : null
  if (name === undefined) errors.push({ code: 'field_missing', pointer: `${pointer}/dimension`, detail: 'is missing' })
  else if (!dimension) errors.push(wrong(`${pointer}/dimension`, `${JSON.stringify(name)} is not a dimension`))

  const others = fields.filter(([field]) => field !== 'dimension')
  for (const [field] of others) {
    if (OPERATORS.includes(field as Operator)) continue
    const detail = `is not an operator; operators are ${OPERATORS.join(', ')}`
    errors.push({ code: 'field_unknown', pointer: `${pointer}/${pointerPart(field)}`, detail })
  }
  const operators = others.filter(([field]) => OPERATORS.includes(field as Operator))
  if (operators.length !== 1) {
    if (operators.length > 1 || others.length === 0) errors.push(wrong(pointer, 'must have exactly one operator'))
    return null
  }
  const [operator, given] = operators[0] as [Operator, unknown]
  const values = parseValues(given, operator, dimension, `${pointer}/${operator}`, errors)
  return dimension && values && { kind: 'condition', dimension, operator, values, pointer: `${pointer}/${operator}` }
}

function parseValues(
  given: unknown,
  operator: Operator,
  dimension: Dimension | null,
  pointer: string,
  errors: FieldError[],
): Value[] | null {
  const list = Array.isArray(given) ? given : [given]
  const before = errors.length
  const compares = operator === 'greater' || operator === 'less'
  if (list.length === 0 || list.length > MAX_VALUES) errors.push(wrong(pointer, `must be 1 to ${MAX_VALUES} values`))
  if (compares && list.length > 1) errors.push(wrong(pointer, 'must be one value'))
  if (compares && dimension && !isOrdered(dimension))
    errors.push(wrong(pointer, `${dimension.name} is not a number or a time`))
  list.forEach((value, i) => {
    const detail = problemOf(value, operator, dimension)
    if (detail) errors.push(wrong(Array.isArray(given) ? `${pointer}/${i}` : pointer, detail))
  })
  return errors.length > before ? null : list
}

function problemOf(value: unknown, operator: Operator, dimension: Dimension | null): string | null {
  const numeric = dimension !== null && isNumeric(dimension, operator)
  if (numeric) return typeof value === 'number' && Number.isFinite(value) ? null : 'must be a number'
  if (dimension?.kind === 'map' && !/^(contains|matches)/.test(operator) && typeof value !== 'object') return null
  if (typeof value !== 'string') return 'must be a text'
  if (value.length > MAX_TEXT) return `must have at most ${MAX_TEXT} characters`
  if (value === '' && !operator.startsWith('is')) return 'must not be empty'
  return null
}

/** Whether a condition compares numbers; `contains` and `matches` look at the digits. */
export function isNumeric(dimension: Dimension, operator: Operator): boolean {
  const compares = operator === 'greater' || operator === 'less'
  if (dimension.kind === 'map') return compares
  const number = dimension.kind === 'cycle' || (dimension.kind === 'column' && dimension.type !== 'String')
  return number && (compares || operator === 'is' || operator === 'is_not')
}

/** A field name as part of a JSON pointer (RFC 6901). */
export const pointerPart = (name: string): string => name.replaceAll('~', '~0').replaceAll('/', '~1')
