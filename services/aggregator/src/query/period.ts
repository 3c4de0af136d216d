import { dateOfDay, dayOfDate, type LocalDays } from '@millrace/shared'
import { firstOfMonth, firstOfYear, startOfDay } from './zones.ts'

/** Periods with a name. `Nd` are the last N local days and `12mo` the last 12 months, the current one included. */
export const NAMED_PERIODS = [
  'today',
  'yesterday',
  '24h',
  '7d',
  '30d',
  '90d',
  '12mo',
  'month_to_date',
  'year_to_date',
  'all',
] as const
type NamedPeriod = (typeof NAMED_PERIODS)[number]
/** A period as asked: dates (`2026-11-14`, inclusive local days), RFC 3339 times or epoch ms (half-open). */
interface Between {
  readonly from: string | number
  readonly to: string | number
}
export type Period = NamedPeriod | Between

/** A half-open stretch of time in epoch ms. `days`: first and last local day, if it is made of whole local days. */
export interface Range {
  readonly fromMs: number
  readonly toMs: number
  readonly days: { readonly first: number; readonly last: number } | null
}

/** Why a period cannot be read; `pointer` is relative to the period. */
export class PeriodError extends Error {
  readonly pointer: string
  constructor(pointer: string, message: string) {
    super(message)
    this.name = 'PeriodError'
    this.pointer = pointer
  }
}

const MINUTE_MS = 60_000
/** 1970-01-01 to 2100-01-01: what the tables can hold. */
const LATEST_MS = 4_102_444_800_000
const DATE = /^\d{4}-\d{2}-\d{2}$/
const TIME = /^(\d{4}-\d{2}-\d{2})[Tt]\d{2}:\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})$/

/**
 * The stretch of time that a period means at `nowMs` in a zone. A period that reaches to now ends with the current local
 * day (no hit lies in the future), so that it is made of whole days; `24h` ends with the current minute.
 * `firstDay`: for `all`, the first local day with data, today if there is none.
 * @throws PeriodError
 */
export function resolvePeriod(period: Period, zone: LocalDays, nowMs: number, firstDay?: number): Range {
  if (typeof period !== 'string') return resolveBetween(period, zone)
  const today = zone.dayOf(nowMs)
  switch (period) {
    case 'today':
      return wholeDays(zone, today, today)
    case 'yesterday':
      return wholeDays(zone, today - 1, today - 1)
    case '24h': {
      const toMs = Math.ceil(nowMs / MINUTE_MS) * MINUTE_MS
      return rangeOf(zone, toMs - 24 * 60 * MINUTE_MS, toMs)
    }
    case '7d':
      return wholeDays(zone, today - 6, today)
    case '30d':
      return wholeDays(zone, today - 29, today)
    case '90d':
      return wholeDays(zone, today - 89, today)
    case '12mo':
      return wholeDays(zone, firstOfMonth(today, -11), today)
    case 'month_to_date':
      return wholeDays(zone, firstOfMonth(today), today)
    case 'year_to_date':
      return wholeDays(zone, firstOfYear(today), today)
    case 'all':
      return wholeDays(zone, Math.min(firstDay ?? today, today), today)
  }
}

/** The range of the local days `first` to `last`, both included. */
export function wholeDays(zone: LocalDays, first: number, last: number): Range {
  return { fromMs: startOfDay(zone, first), toMs: startOfDay(zone, last + 1), days: { first, last } }
}

/** The range from `fromMs` to `toMs`, which may happen to be made of whole days. */
export function rangeOf(zone: LocalDays, fromMs: number, toMs: number): Range {
  const first = zone.dayOf(fromMs)
  const last = zone.dayOf(toMs - 1)
  const whole = startOfDay(zone, first) === fromMs && startOfDay(zone, last + 1) === toMs
  return { fromMs, toMs, days: whole ? { first, last } : null }
}

function resolveBetween({ from, to }: Between, zone: LocalDays): Range {
  const fromMs = boundary('/from', from, (day) => startOfDay(zone, day))
  const toMs = boundary('/to', to, (day) => startOfDay(zone, day + 1))
  if (fromMs >= toMs) throw new PeriodError('/to', 'ends before it begins')
  return rangeOf(zone, fromMs, toMs)
}

function boundary(pointer: string, value: string | number, ofDay: (day: number) => number): number {
  const ms =
    typeof value === 'number' ? value : DATE.test(value) ? ofDay(dayNumber(pointer, value)) : time(pointer, value)
  if (!Number.isInteger(ms)) throw new PeriodError(pointer, 'must be a whole number of milliseconds')
  // A local day may begin half a day before or after the UTC one.
  if (ms < -DAY_SLACK_MS || ms > LATEST_MS + DAY_SLACK_MS)
    throw new PeriodError(pointer, 'must lie between 1970 and 2100')
  return Math.max(0, ms)
}
const DAY_SLACK_MS = 86_400_000

function dayNumber(pointer: string, date: string): number {
  const day = dayOfDate(date)
  if (!Number.isFinite(day) || dateOfDay(day) !== date)
    throw new PeriodError(pointer, `${date} is not a date of the calendar`)
  return day
}

function time(pointer: string, value: string): number {
  const match = TIME.exec(value)
  if (!match) {
    const detail = 'must be a date (2026-11-14), a time with its offset (2026-11-14T09:00:00Z) or epoch milliseconds'
    throw new PeriodError(pointer, detail)
  }
  dayNumber(pointer, match[1]!)
  const ms = Date.parse(value.toUpperCase())
  if (Number.isNaN(ms)) throw new PeriodError(pointer, 'is not a time of the clock')
  return ms
}
