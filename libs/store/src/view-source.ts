import { identifier } from './sql-text.ts'
import type { Slice, Target } from './store.ts'

/** A column as the store describes it. */
export interface Column {
  readonly name: string
  readonly type: string
}

/** `a, b`. */
export const columnList = (names: readonly string[]): string => names.map(identifier).join(', ')

/** `a String, b UInt8`: what blocks may hold. */
export const structureOf = (columns: readonly Column[]): string =>
  columns.map(({ name, type }) => `${identifier(name)} ${type}`).join(', ')

/** The table that a view's SELECT reads; null when it names none of them plainly. */
export function sourceOf(select: string): Target['source'] | null {
  const match = /\bFROM millrace\.(hits_in|sessions_in)\b/.exec(select)
  return match ? (match[1] as Target['source']) : null
}

/**
 * The view's SELECT, reading `rows` (a table, or a SELECT in parentheses) instead of the view's table.
 * @throws Error when the SELECT does not read its table exactly once: then it is no plain view of it
 */
export function selectFrom(target: Target, rows: string): string {
  const source = new RegExp(`\\bFROM millrace\\.${target.source}\\b(\\s+AS\\b)?`, 'g')
  const found = target.select.match(source)?.length ?? 0
  if (found !== 1)
    throw new Error(`the view of ${target.name} names millrace.${target.source} ${found} times, expected once`)
  return target.select.replace(source, (_, alias?: string) => `FROM ${rows}${alias ?? ` AS ${target.source}`}`)
}

/** The view's SELECT, reading the rows of `slices` from `from` instead of the view's table. @throws as selectFrom */
export function selectOver(target: Target, from: string, slices: readonly Slice[]): string {
  const wanted = slices.map(({ kp, month }) => `(${whole(kp)}, ${whole(month)})`).join(', ')
  // ignore(*) is 0 and reads every column: a SELECT that needs fewer would take the others for unknown ones, and fail.
  return selectFrom(target, `(SELECT * FROM ${from} WHERE (kp, toYYYYMM(day)) IN (${wanted}) AND NOT ignore(*))`)
}

function whole(value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw new RangeError('kp and month are whole numbers')
  return value
}
