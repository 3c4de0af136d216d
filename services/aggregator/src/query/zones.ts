import { LocalDays } from '@millrace/shared'

const DAY_MS = 86_400_000
const QUARTER_MS = 900_000
/** More than IANA has names, so that only a flood of odd spellings ever empties it. */
const MAX_ZONES = 1_000
const zones = new Map<string, LocalDays>()

/** The calendar of an IANA time zone, in any spelling of case; null for an unknown one (also for offsets like +02:00). */
export function findZone(name: string): LocalDays | null {
  const known = zones.get(name)
  if (known) return known
  if (!/^[A-Za-z][A-Za-z0-9_+/-]{1,63}$/.test(name)) return null
  try {
    // The engine knows zones by exact spelling; Intl corrects it.
    const spelled = new Intl.DateTimeFormat('en', { timeZone: name }).resolvedOptions().timeZone
    const zone = new LocalDays(spelled)
    if (zones.size >= MAX_ZONES) zones.clear()
    zones.set(name, zone)
    return zone
  } catch {
    return null
  }
}

/** First instant (epoch ms) of a local day; of the day after where a zone left the day out. */
export function startOfDay(zone: LocalDays, day: number): number {
  const midnight = day * DAY_MS
  const guess = midnight - zone.offset(midnight - zone.offset(midnight))
  if (zone.dayOf(guess) === day && zone.dayOf(guess - 1) < day) return guess
  // A day that begins with a change of the clock, or that does not exist: look at every quarter hour around.
  let time = midnight - 15 * 3_600_000
  while (zone.dayOf(time) < day) time += QUARTER_MS
  return time
}

/** Day number of the first day of the month that is `months` after the month of `day`. */
export function firstOfMonth(day: number, months = 0): number {
  const date = new Date(day * DAY_MS)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, 1) / DAY_MS
}

/** Day number of the Monday on or before `day`. */
export const mondayOf = (day: number): number => day - ((((day + 3) % 7) + 7) % 7)

/** Day number of January 1 of the year of `day`. */
export const firstOfYear = (day: number): number => Date.UTC(new Date(day * DAY_MS).getUTCFullYear(), 0, 1) / DAY_MS
