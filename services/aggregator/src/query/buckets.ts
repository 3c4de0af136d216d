import { dateOfDay, type LocalDays } from '@millrace/shared'
import type { Range } from './period.ts'
import { firstOfMonth, firstOfYear, mondayOf, startOfDay } from './zones.ts'

/** Dimensions that cut time into consecutive buckets, in the asked zone. Weeks begin on Monday unless a query says otherwise. */
export const BUCKET_UNITS = ['minute', 'hour', 'day', 'week', 'month', 'year'] as const
export type BucketUnit = (typeof BUCKET_UNITS)[number]

/**
 * A stretch of local time. `label` is what the answer shows; the hour that comes twice when clocks go back makes two
 * buckets with the same label, in order of time. The first bucket may begin before the period.
 */
export interface Bucket {
  readonly label: string
  /** Epoch seconds, never negative. */
  readonly start: number
  /** Day number of the local date on which it begins. */
  readonly day: number
}

/** Days that a week may begin with, by their number (1 = Monday). */
export const WEEK_STARTS = { monday: 1, saturday: 6, sunday: 7 } as const
export type WeekStart = keyof typeof WEEK_STARTS

/** Most buckets, and most rows, that one answer holds. */
export const MAX_ROWS = 10_000

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
const UNIT_MS: Record<BucketUnit, number> = {
  minute: MINUTE_MS,
  hour: HOUR_MS,
  day: DAY_MS,
  week: 7 * DAY_MS,
  month: 28 * DAY_MS,
  year: 365 * DAY_MS,
}

/** About how many buckets of a unit a range has: cheap, to refuse what is too much before it is made. */
export const estimateBuckets = (unit: BucketUnit, range: Range): number =>
  Math.ceil((range.toMs - range.fromMs) / UNIT_MS[unit])

/** All buckets of a unit that overlap a range, in order of time, without gaps. */
export function bucketsOf(unit: BucketUnit, range: Range, zone: LocalDays, weekStart: WeekStart = 'monday'): Bucket[] {
  if (unit === 'minute' || unit === 'hour') return clockBuckets(UNIT_MS[unit], range, zone)
  return calendarBuckets(unit, range, zone, weekStart)
}

const CALENDAR: Record<
  'day' | 'week' | 'month' | 'year',
  { first(day: number, weekStart: WeekStart): number; next(day: number): number; label: number }
> = {
  day: { first: (day) => day, next: (day) => day + 1, label: 10 },
  week: {
    first: (day, weekStart) => mondayOf(day + 1 - WEEK_STARTS[weekStart]) - 1 + WEEK_STARTS[weekStart],
    next: (day) => day + 7,
    label: 10,
  },
  month: { first: (day) => firstOfMonth(day), next: (day) => firstOfMonth(day, 1), label: 7 },
  year: { first: (day) => firstOfYear(day), next: (day) => firstOfMonth(day, 12), label: 4 },
}

function calendarBuckets(unit: keyof typeof CALENDAR, range: Range, zone: LocalDays, weekStart: WeekStart): Bucket[] {
  const { first, next, label } = CALENDAR[unit]
  const buckets: Bucket[] = []
  let day = first(zone.dayOf(range.fromMs), weekStart)
  for (let startMs = startOfDay(zone, day); startMs < range.toMs; ) {
    const following = next(day)
    const endMs = startOfDay(zone, following)
    // Empty: a date that the zone left out (Samoa, 2011-12-30).
    if (endMs > startMs) buckets.push({ label: dateOfDay(day).slice(0, label), start: seconds(startMs), day })
    day = following
    startMs = endMs
  }
  return buckets
}

/** Runs of time with the same local hour (or minute) and the same offset from UTC. */
function clockBuckets(unitMs: number, range: Range, zone: LocalDays): Bucket[] {
  const buckets: Bucket[] = []
  let time = startOfRun(unitMs, range.fromMs, zone)
  while (time < range.toMs) {
    const local = time + zone.offset(time)
    const label = new Date(Math.floor(local / unitMs) * unitMs).toISOString().slice(0, 16)
    buckets.push({ label, start: seconds(time), day: Math.floor(local / DAY_MS) })
    time = endOfRun(unitMs, time, zone)
  }
  return buckets
}

function startOfRun(unitMs: number, time: number, zone: LocalDays): number {
  const offset = zone.offset(time)
  const floor = Math.floor((time + offset) / unitMs) * unitMs - offset
  const change = lastChange(floor, time, zone)
  return change ?? floor
}

function endOfRun(unitMs: number, time: number, zone: LocalDays): number {
  const offset = zone.offset(time)
  const end = (Math.floor((time + offset) / unitMs) + 1) * unitMs - offset
  return firstChange(time, end, zone) ?? end
}

const QUARTER_MS = 900_000
/** First quarter hour in (from, to) with another offset than at `from`. Offsets are stable for hours, so the ends tell. */
function firstChange(from: number, to: number, zone: LocalDays): number | null {
  if (zone.offset(to - 1) === zone.offset(from)) return null
  let time = Math.floor(from / QUARTER_MS) * QUARTER_MS
  while (zone.offset(time) === zone.offset(from)) time += QUARTER_MS
  return time
}

/** First instant of the offset that holds at `to`, if it began after `from`. */
function lastChange(from: number, to: number, zone: LocalDays): number | null {
  return zone.offset(from) === zone.offset(to) ? null : firstChange(from, to + 1, zone)
}

const seconds = (ms: number): number => Math.max(0, Math.floor(ms / 1000))
