import type { RowsByMonth } from '@millrace/shared'

const DAY_MS = 86_400_000

/** Counts rows by the month of their day. */
export class MonthCount {
  readonly #byDay = new Map<number, number>()
  #lastDay = Number.NaN
  #last = 0

  /** `day`: days since 1970-01-01. */
  add(day: number): void {
    if (day !== this.#lastDay) {
      this.#flush()
      this.#lastDay = day
    }
    this.#last++
  }

  /** The counts so far; begins anew. */
  take(): RowsByMonth {
    this.#flush()
    this.#lastDay = Number.NaN
    const rows: Record<number, number> = {}
    for (const [day, count] of this.#byDay) {
      const date = new Date(day * DAY_MS)
      const month = date.getUTCFullYear() * 100 + date.getUTCMonth() + 1
      rows[month] = (rows[month] ?? 0) + count
    }
    this.#byDay.clear()
    return rows
  }

  #flush(): void {
    if (this.#last > 0) this.#byDay.set(this.#lastDay, (this.#byDay.get(this.#lastDay) ?? 0) + this.#last)
    this.#last = 0
  }
}
