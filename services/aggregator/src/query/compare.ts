import { dateOfDay, dayOfDate } from '@millrace/shared'
import type { Bucket, BucketUnit } from './buckets.ts'
import type { Comparison, ReportQuery } from './parse-query.ts'
import { type Range, rangeOf, wholeDays } from './period.ts'
import { firstOfMonth, startOfDay } from './zones.ts'

/** What a period is compared with. `dayBefore`: the day that a day is paired with, null if the calendar has none. */
export interface Previous {
  readonly range: Range
  /** Null: days are paired by their position in the two periods. */
  readonly dayBefore: ((day: number) => number | null) | null
}

/**
 * The comparison period. `previous_period`: as many days before it; for months and years to date and `12mo` the same
 * days of the month, or year, before. `previous_year`: the same dates a year before (February 29: the 28th ends it, no
 * day is paired with the 29th). A period of no whole days: as long before.
 */
export function previousOf(query: ReportQuery, range: Range, compare: Comparison): Previous {
  if (typeof compare === 'object') return { range: compare.range, dayBefore: null }
  const months = monthsBack(query, compare)
  if (months > 0) return shiftMonths(query, range, months)
  if (range.days === null) {
    const length = range.toMs - range.fromMs
    return { range: rangeOf(query.zone, Math.max(0, range.fromMs - length), range.fromMs), dayBefore: null }
  }
  const { first, last } = range.days
  const days = last - first + 1
  return { range: wholeDays(query.zone, first - days, first - 1), dayBefore: (day) => day - days }
}

function monthsBack({ period }: ReportQuery, compare: Comparison): number {
  if (compare === 'previous_year' || period === '12mo' || period === 'year_to_date') return 12
  return period === 'month_to_date' ? 1 : 0
}

function shiftMonths({ zone }: ReportQuery, range: Range, months: number): Previous {
  const dayBefore = (day: number): number | null => sameDay(day, months)
  if (range.days) {
    const { first, last } = range.days
    return { range: wholeDays(zone, nearestDay(first, months), nearestDay(last, months)), dayBefore }
  }
  const shift = (ms: number): number => {
    const day = zone.dayOf(ms)
    return startOfDay(zone, nearestDay(day, months)) + (ms - startOfDay(zone, day))
  }
  return { range: rangeOf(zone, Math.max(0, shift(range.fromMs)), shift(range.toMs)), dayBefore }
}

const sameDay = (day: number, months: number): number | null => {
  const before = firstOfMonth(day, -months) + (day - firstOfMonth(day))
  return firstOfMonth(before) === firstOfMonth(day, -months) ? before : null
}

/** The same day, or the last of a month that has no such day. */
const nearestDay = (day: number, months: number): number => sameDay(day, months) ?? firstOfMonth(day, 1 - months) - 1

/**
 * For each bucket the index of the one it is compared with, or null: days, hours and minutes by date and time of day
 * (the hour that a day does not have pairs with nothing), weeks, months and years by their position.
 */
export function pairBuckets(
  unit: BucketUnit,
  now: readonly Bucket[],
  before: readonly Bucket[],
  { dayBefore }: Previous,
) {
  const byDate = dayBefore !== null && (unit === 'day' || unit === 'hour' || unit === 'minute')
  if (!byDate) return now.map((_, i) => (i < before.length ? i : null))
  const indices = new Map(numbered(before).map((label, i) => [label, i]))
  return numbered(now).map((label) => {
    const day = dayBefore(dayOfDate(label.slice(0, 10)))
    return day === null ? null : (indices.get(dateOfDay(day) + label.slice(10)) ?? null)
  })
}

/** Labels, the second of an hour that comes twice with `#2`. */
function numbered(buckets: readonly Bucket[]): string[] {
  return buckets.map(({ label }, i) => {
    const twice = buckets.slice(Math.max(0, i - 60), i).some((earlier) => earlier.label === label)
    return twice ? `${label}#2` : label
  })
}

/** (now − before) / before; null where that is undefined (n against 0, or nothing to compare). */
export function growth(now: number | null, before: number | null): number | null {
  return now === null || before === null || before === 0 ? null : (now - before) / before
}
