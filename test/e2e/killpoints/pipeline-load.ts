import type { RawLine } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'

const VISITORS = 6
/** Of its hits a line's sender says that they are so old: at the first minutes of a month they belong to the month before. */
const DELAY_MS = 12 * 60_000

/** Numbers of hits that go into one record: of one visitor, so of one partition. */
export interface Parcel {
  readonly partition: number
  readonly numbers: readonly number[]
}

/** Hits [from, to), one parcel a visitor. A visitor is always in the same partition. */
export function parcelsOf(numbers: readonly number[], partitions: number): Parcel[] {
  return Array.from({ length: VISITORS }, (_, visitor) => ({
    partition: visitor % partitions,
    numbers: numbers.filter((number) => number % VISITORS === visitor),
  })).filter((parcel) => parcel.numbers.length > 0)
}

/** What a collector would write for a parcel; the same hits whenever it is asked. Every second hit is of the month before. */
export function recordOf({ numbers }: Parcel, nowMs: number): Buffer {
  const lines = numbers.map((number): RawLine => {
    const createdAt = nowMs - (number % 2) * DELAY_MS
    const page = { url: `https://example.com/${number % 4}`, created_at: createdAt, hit_id: hitId(number) }
    const hit =
      number % 5 === 0
        ? event(page)
        : number % 7 === 0
          ? { ...engagement({ page_id: hitId(number - VISITORS), created_at: createdAt }), hit_id: hitId(number) }
          : pageView(page)
    return rawLine([hit as never], { sent_at: nowMs, ip: `203.0.113.${number % VISITORS}`, collected_at: nowMs })
  })
  return rawValue(lines)
}

/** Numbers that stand behind a word in the notes. */
export const numbersIn = (notes: readonly (readonly string[])[], word: string): number[] =>
  notes.filter(([first]) => first === word).flatMap(([, ...numbers]) => numbers.map(Number))
