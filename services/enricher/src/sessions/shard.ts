import type { ColdFile, Place } from '../cold/cold-folder.ts'
import type { KeyFilter } from './key-filter.ts'

/** A generation's entries are spread over this many shards, so that none takes long to grow. */
export const SHARDS = 64
/** A shard's number of slots grows by this factor. */
export const GROWTH = 1.2
const MAX_LOAD = 0.85
const TWO_32 = 4_294_967_296

/** The shard that an entry belongs to, by the upper half of its fingerprint. */
export const shardOf = (high: number): number => high >>> 26

/** Where probing for a fingerprint begins, by its lower half, in a shard of so many slots. */
export const homeSlot = (low: number, capacity: number): number => Math.floor((low / TWO_32) * capacity)

export interface SavedShard {
  readonly count: number
  readonly words: Place
  readonly steps: Place
  readonly values: Place | null
}

/** Open addressing with linear probing. A slot is free when both halves of its fingerprint are 0. */
export class Shard {
  #capacity: number
  #count = 0
  #words: Uint32Array
  #steps: Uint16Array
  #values: Uint32Array | null

  constructor(capacity: number, withValues: boolean) {
    this.#capacity = capacity
    this.#words = new Uint32Array(capacity * 2)
    this.#steps = new Uint16Array(capacity)
    this.#values = withValues ? new Uint32Array(capacity) : null
  }

  add(low: number, high: number, step: number, value: number): void {
    if (this.#count + 1 > this.#capacity * MAX_LOAD) this.#grow()
    let slot = homeSlot(low, this.#capacity)
    while (this.#words[slot * 2] !== 0 || this.#words[slot * 2 + 1] !== 0)
      slot = slot + 1 === this.#capacity ? 0 : slot + 1
    this.#words[slot * 2] = low
    this.#words[slot * 2 + 1] = high
    this.#steps[slot] = step
    if (this.#values !== null) this.#values[slot] = value
    this.#count++
  }

  /** Largest value (0 in a table without values) of the entries of at least `fromStep`; -1 = there is none. */
  largest(low: number, high: number, fromStep: number): number {
    const words = this.#words
    let best = -1
    for (let slot = homeSlot(low, this.#capacity); ; slot = slot + 1 === this.#capacity ? 0 : slot + 1) {
      const a = words[slot * 2]!
      const b = words[slot * 2 + 1]!
      if (a === 0 && b === 0) return best
      if (a === low && b === high && this.#steps[slot]! >= fromStep) {
        if (this.#values === null) return 0
        if (this.#values[slot]! > best) best = this.#values[slot]!
      }
    }
  }

  /** Slots, the free ones included. */
  get capacity(): number {
    return this.#capacity
  }

  addKeysTo(filter: KeyFilter): void {
    const words = this.#words
    for (let at = 0; at < words.length; at += 2)
      if (words[at] !== 0 || words[at + 1] !== 0) filter.add(words[at]!, words[at + 1]!)
  }

  /** Entries. */
  get count(): number {
    return this.#count
  }

  /** Writes all slots: the words of all, 8 bytes each, then the steps, 2, then the values, 4, if any. */
  save(into: ColdFile): SavedShard {
    const [words, steps] = [into.put(this.#words), into.put(this.#steps)]
    return { count: this.#count, words, steps, values: this.#values && into.put(this.#values) }
  }

  static load(from: ColdFile, { count, words, steps, values }: SavedShard): Shard {
    const shard = new Shard(0, false)
    shard.#words = new Uint32Array(from.take(words))
    shard.#steps = new Uint16Array(from.take(steps))
    shard.#values = values && new Uint32Array(from.take(values))
    shard.#capacity = shard.#steps.length
    shard.#count = count
    return shard
  }

  get bytes(): number {
    return this.#words.byteLength + this.#steps.byteLength + (this.#values?.byteLength ?? 0)
  }

  #grow(): void {
    const capacity = this.#capacity
    const words = this.#words
    const steps = this.#steps
    const values = this.#values
    this.#capacity = Math.ceil(capacity * GROWTH) + 8
    this.#words = new Uint32Array(this.#capacity * 2)
    this.#steps = new Uint16Array(this.#capacity)
    this.#values = values === null ? null : new Uint32Array(this.#capacity)
    this.#count = 0
    for (let slot = 0; slot < capacity; slot++) {
      const low = words[slot * 2]!
      const high = words[slot * 2 + 1]!
      if (low !== 0 || high !== 0) this.add(low, high, steps[slot]!, values === null ? 0 : values[slot]!)
    }
  }
}
