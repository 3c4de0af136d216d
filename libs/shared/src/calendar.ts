const DAY_MS = 86_400_000

/** Offset of `zone` from UTC at `timeMs`, in milliseconds (positive east). */
function offsetAt(formatter: Intl.DateTimeFormat, timeMs: number): number {
  const parts: Record<string, number> = {}
  for (const { type, value } of formatter.formatToParts(timeMs)) parts[type] = Number(value)
  const local = Date.UTC(parts.year!, parts.month! - 1, parts.day!, parts.hour! % 24, parts.minute!, parts.second!)
  return local - Math.floor(timeMs / 1000) * 1000
}

/** Local days of one time zone. Zone offsets change on whole minutes only (IANA, since 1972), so they are kept by minute. */
export class LocalDays {
  readonly zone: string
  readonly #formatter: Intl.DateTimeFormat
  readonly #offsets = new Map<number, number>()

  /** @throws RangeError for an unknown zone */
  constructor(zone: string) {
    this.zone = zone
    this.#formatter = new Intl.DateTimeFormat('en-US', {
      timeZone: zone,
      calendar: 'iso8601',
      numberingSystem: 'latn',
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
  }

  /** Days since 1970-01-01 of the local date at `timeMs`. */
  dayOf(timeMs: number): number {
    return Math.floor((timeMs + this.offset(timeMs)) / DAY_MS)
  }

  /** Milliseconds that local time is ahead of UTC at `timeMs`. */
  offset(timeMs: number): number {
    if (this.zone === 'UTC') return 0
    const minute = Math.floor(timeMs / 60_000)
    let offset = this.#offsets.get(minute)
    if (offset === undefined) {
      if (this.#offsets.size > 10_000) this.#offsets.clear()
      offset = offsetAt(this.#formatter, minute * 60_000)
      this.#offsets.set(minute, offset)
    }
    return offset
  }
}

/** `2026-11-22` of a day number. */
export const dateOfDay = (day: number): string => new Date(day * DAY_MS).toISOString().slice(0, 10)
/** Day number of `2026-11-22`. */
export const dayOfDate = (date: string): number => Math.floor(Date.parse(`${date}T00:00:00Z`) / DAY_MS)
/** Month of a day number, as ClickHouse's toYYYYMM writes it: 202611. */
export const monthOfDay = (day: number): number => {
  const date = new Date(day * DAY_MS)
  return date.getUTCFullYear() * 100 + date.getUTCMonth() + 1
}
/** First day number of a month such as 202611. */
export const firstDayOfMonth = (month: number): number =>
  Date.UTC(Math.floor(month / 100), (month % 100) - 1, 1) / DAY_MS
