import { type Fingerprint, hexWord, mix, readUuidWords } from './fingerprint.ts'
import { RecentTable } from './recent.ts'

/** A filter of 2^18 bits, 32 KB, for each hour and each day whose salt made ids in it. */
const FILTER_BITS = 18
const HOUR_MS = 3_600_000

/**
 * The hit_ids of the last hour, each with the visitor that sent it. A hit is asked for under the visitor's ids of its own
 * day and both neighbours; `mayKnow` spares the hashes of the neighbours, nearly always, where the filter of that day has
 * few entries: all but around midnight.
 */
export class SeenHits {
  readonly #table = new RecentTable()
  /** By day of the salt, then by hour of received_at. */
  readonly #filters = new Map<number, Map<number, Uint32Array>>()
  readonly #words = new Uint32Array(4)
  readonly #print: Fingerprint = { low: 0, high: 0 }
  #hitId = ''
  /** What #print is of. */
  #printed = ''

  get size(): number {
    return this.#table.size
  }

  /** Whether this hit_id came from this visitor (16 hex digits) with received_at >= `since`. */
  has(hitId: string, visitorId: string, since: number): boolean {
    this.#fingerprint(hitId, visitorId)
    return this.#table.has(this.#print.low, this.#print.high, since)
  }

  /** False = no visitor whose id is of that day sent it. True says nothing. */
  mayKnow(hitId: string, day: number): boolean {
    const filters = this.#filters.get(day)
    if (filters === undefined) return false
    this.#read(hitId)
    const bit = filterBit(this.#words)
    for (const bits of filters.values()) if ((bits[bit >>> 5]! & (1 << (bit & 31))) !== 0) return true
    return false
  }

  /** `fromDay` to `toDay`: the days whose salt may have made the visitor's id. */
  add(hitId: string, visitorId: string, receivedAt: number, fromDay: number, toDay: number): void {
    this.#fingerprint(hitId, visitorId)
    this.#store(receivedAt, fromDay, toDay)
  }

  /** As `add`, of the 32-bit words of both ids, the highest first. */
  addWords(
    hitId: Uint32Array,
    visitorHigh: number,
    visitorLow: number,
    receivedAt: number,
    fromDay: number,
    toDay: number,
  ): void {
    this.#words.set(hitId)
    this.#hitId = ''
    mix(this.#words, visitorHigh, visitorLow, this.#print)
    this.#store(receivedAt, fromDay, toDay)
  }

  /** Forgets what came before `since`. */
  forget(since: number): void {
    this.#table.forget(since)
    for (const [day, filters] of this.#filters) {
      for (const hour of filters.keys()) if ((hour + 1) * HOUR_MS <= since) filters.delete(hour)
      if (filters.size === 0) this.#filters.delete(day)
    }
  }

  #store(receivedAt: number, fromDay: number, toDay: number): void {
    this.#table.add(this.#print.low, this.#print.high, receivedAt)
    const bit = filterBit(this.#words)
    for (let day = fromDay; day <= toDay; day++)
      this.#filter(day, Math.floor(receivedAt / HOUR_MS))[bit >>> 5]! |= 1 << (bit & 31)
  }

  #filter(day: number, hour: number): Uint32Array {
    let filters = this.#filters.get(day)
    if (filters === undefined) {
      filters = new Map()
      this.#filters.set(day, filters)
    }
    let bits = filters.get(hour)
    if (bits === undefined) {
      bits = new Uint32Array((1 << FILTER_BITS) / 32)
      filters.set(hour, bits)
    }
    return bits
  }

  #read(hitId: string): void {
    if (hitId === this.#hitId) return
    readUuidWords(hitId, this.#words)
    this.#hitId = hitId
  }

  #fingerprint(hitId: string, visitorId: string): void {
    if (hitId === this.#hitId && visitorId === this.#printed) return
    this.#read(hitId)
    this.#printed = visitorId
    mix(this.#words, hexWord(visitorId, 0, 8), hexWord(visitorId, 8, 16), this.#print)
  }
}

const filterBit = (words: Uint32Array): number =>
  (Math.imul(
    words[0]! ^ Math.imul(words[1]!, 0x9e3779b1) ^ words[2]! ^ Math.imul(words[3]!, 0x85ebca6b),
    0xc2b2ae35,
  ) >>>
    (32 - FILTER_BITS)) >>>
  0
