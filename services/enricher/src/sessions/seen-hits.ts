import type { Hash64, Uuid } from '@millrace/shared'
import type { ColdFile, ColdFolder, Kept, Place } from '../cold/cold-folder.ts'
import { type Fingerprint, mix } from './fingerprint.ts'
import { RecentTable, type SavedTable } from './recent.ts'

/** A filter of 2^18 bits, 32 KB, for each hour and each day whose salt made ids in it. */
const FILTER_BITS = 18
const HOUR_MS = 3_600_000

export interface SavedSeenHits {
  readonly table: SavedTable
  readonly filters: readonly (readonly [day: number, hours: readonly (readonly [hour: number, bits: Place])[]])[]
}

/**
 * The hit_ids of the last hour, each with the visitor that sent it. A hit is asked for under the visitor's ids of its own
 * day and both neighbours; `mayKnow` spares the hashes of the neighbours, nearly always, where the filter of that day has
 * few entries: all but around midnight.
 */
export class SeenHits {
  readonly #table: RecentTable
  /** By day of the salt, then by hour of received_at. */
  readonly #filters = new Map<number, Map<number, Uint32Array>>()
  readonly #print: Fingerprint = { low: 0, high: 0 }
  /** What #print is of. */
  #hitId: Uuid | null = null
  #visitorId: Hash64 | null = null

  /** `folder`, `sealFrom`: as of RecentTable. */
  constructor(folder: ColdFolder | null = null, sealFrom?: number) {
    this.#table = new RecentTable(false, folder, sealFrom)
  }

  get size(): number {
    return this.#table.size
  }

  /** Whether this hit_id came from this visitor with received_at >= `since`. */
  has(hitId: Uuid, visitorId: Hash64, since: number): boolean {
    this.#fingerprint(hitId, visitorId)
    return this.#table.has(this.#print.low, this.#print.high, since)
  }

  /** False = no visitor whose id is of that day sent it. True says nothing. */
  mayKnow(hitId: Uuid, day: number): boolean {
    const filters = this.#filters.get(day)
    if (filters === undefined) return false
    const bit = filterBit(hitId)
    for (const bits of filters.values()) if ((bits[bit >>> 5]! & (1 << (bit & 31))) !== 0) return true
    return false
  }

  /** `fromDay` to `toDay`: the days whose salt may have made the visitor's id. */
  add(hitId: Uuid, visitorId: Hash64, receivedAt: number, fromDay: number, toDay: number): void {
    this.#fingerprint(hitId, visitorId)
    this.#table.add(this.#print.low, this.#print.high, receivedAt)
    const bit = filterBit(hitId)
    for (let day = fromDay; day <= toDay; day++)
      this.#filter(day, Math.floor(receivedAt / HOUR_MS))[bit >>> 5]! |= 1 << (bit & 31)
  }

  /** Forgets what came before `since`. */
  forget(since: number): void {
    this.#table.forget(since)
    for (const [day, filters] of this.#filters) {
      for (const hour of filters.keys()) if ((hour + 1) * HOUR_MS <= since) filters.delete(hour)
      if (filters.size === 0) this.#filters.delete(day)
    }
  }

  /** Moves what is much into files, as RecentTable. For between batches. */
  putAside(): void {
    this.#table.putAside()
  }

  save(into: ColdFile): SavedSeenHits {
    const filters = [...this.#filters].map(
      ([day, hours]) => [day, [...hours].map(([hour, bits]) => [hour, into.put(bits)] as const)] as const,
    )
    return { table: this.#table.save(into), filters }
  }

  /** Where nothing is known yet. */
  load(kept: Kept, { table, filters }: SavedSeenHits): void {
    this.#table.load(kept, table)
    for (const [day, hours] of filters)
      this.#filters.set(day, new Map(hours.map(([hour, bits]) => [hour, new Uint32Array(kept.arrays.take(bits))])))
  }

  /** What is put aside. */
  get files(): ColdFile[] {
    return this.#table.files
  }

  /** Forgets all hit_ids and frees the files. */
  close(): void {
    this.#table.close()
    this.#filters.clear()
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

  #fingerprint(hitId: Uuid, visitorId: Hash64): void {
    if (hitId === this.#hitId && visitorId === this.#visitorId) return
    this.#hitId = hitId
    this.#visitorId = visitorId
    mix(hitId, visitorId, this.#print)
  }
}

const filterBit = ({ word0, word1, word2, word3 }: Uuid): number =>
  Math.imul(word0 ^ Math.imul(word1, 0x9e3779b1) ^ word2 ^ Math.imul(word3, 0x85ebca6b), 0xc2b2ae35) >>>
  (32 - FILTER_BITS)
