/** Longest texts that a row keeps, in UTF-16 units. They bound what one hit can make of a record. */
export const MAX_PATH = 2_048
export const MAX_REFERRER = 1_024
export const MAX_TITLE = 1_024
export const MAX_NAME = 512
export const MAX_CAMPAIGN = 200

/**
 * A text as rows keep it: '' for anything else, at most `max` units, no lone surrogates. A row that was stored and read
 * back must compare equal with one that was not, and UTF-8 cannot hold lone surrogates.
 */
export function readText(value: unknown, max: number): string {
  if (typeof value !== 'string' || value === '') return ''
  const text = value.length > max ? value.slice(0, max) : value
  return text.isWellFormed() ? text : text.toWellFormed()
}

/** A whole number from 0 to `max`; 0 for anything else, fractions are cut. */
export function readCount(value: unknown, max: number): number {
  if (typeof value !== 'number' || !(value > 0)) return 0
  return value >= max ? max : Math.floor(value)
}

/** A number of at least 0 and at most `max`; 0 for anything else. */
export function readMeasure(value: unknown, max: number): number {
  if (typeof value !== 'number' || !(value > 0)) return 0
  return value >= max ? max : value
}

/** A copy of a well formed text that does not keep alive what `part` was cut from (V8 cuts by reference). */
export function detach(part: string): string {
  return Buffer.from(part).toString()
}
