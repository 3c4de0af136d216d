/**
 * What was seen lately, by 64-bit fingerprint, in 11 to 14 bytes an entry (15 to 20 with values): open-addressed typed
 * arrays by generation of received_at, so that what is too old goes away a generation at a time and nothing is ever
 * dropped because memory is short. (A Map of strings needs 150 bytes and more.)
 */

/** Times are kept in steps of 16 ms, rounded up: an entry never expires early. */
export const TIME_STEP_MS = 16
const STEPS = 65_536
const GENERATION_MS = STEPS * TIME_STEP_MS
const SHARDS = 64
const GROWTH = 1.2
const MAX_LOAD = 0.85
const TWO_32 = 4_294_967_296

/** Open addressing with linear probing. A slot is free when both halves of its fingerprint are 0. */
class Shard {
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
    let slot = this.#home(low)
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
    for (let slot = this.#home(low); ; slot = slot + 1 === this.#capacity ? 0 : slot + 1) {
      const a = words[slot * 2]!
      const b = words[slot * 2 + 1]!
      if (a === 0 && b === 0) return best
      if (a === low && b === high && this.#steps[slot]! >= fromStep) {
        if (this.#values === null) return 0
        if (this.#values[slot]! > best) best = this.#values[slot]!
      }
    }
  }

  get bytes(): number {
    return this.#words.byteLength + this.#steps.byteLength + (this.#values?.byteLength ?? 0)
  }

  #home(low: number): number {
    return Math.floor((low / TWO_32) * this.#capacity)
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

/** The entries of one span of received_at. */
class Generation {
  readonly start: number
  readonly #shards: (Shard | undefined)[] = new Array(SHARDS).fill(undefined)
  readonly #withValues: boolean
  count = 0

  constructor(start: number, withValues: boolean) {
    this.start = start
    this.#withValues = withValues
  }

  add(low: number, high: number, step: number, value: number): void {
    const index = high >>> 26
    let shard = this.#shards[index]
    if (shard === undefined) {
      // Capacities are spread over one step of growth, so that the shards of a generation do not all grow at once.
      shard = new Shard(Math.round(24 * GROWTH ** (index / SHARDS)), this.#withValues)
      this.#shards[index] = shard
    }
    shard.add(low, high, step, value)
    this.count++
  }

  get bytes(): number {
    return sum(this.#shards.map((shard) => shard?.bytes ?? 0))
  }

  largest(low: number, high: number, fromStep: number): number {
    return this.#shards[high >>> 26]?.largest(low, high, fromStep) ?? -1
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/** Fingerprints with the time, and if wanted a value, that each was added with. Times are epoch milliseconds. */
export class RecentTable {
  #generations: Generation[] = []
  readonly #withValues: boolean

  constructor(withValues = false) {
    this.#withValues = withValues
  }

  /** Entries held, the expired ones of a living generation included. */
  get size(): number {
    return sum(this.#generations.map(({ count }) => count))
  }

  /** Bytes that the entries take. */
  get bytes(): number {
    return sum(this.#generations.map(({ bytes }) => bytes))
  }

  add(low: number, high: number, time: number, value = 0): void {
    const start = Math.floor(time / GENERATION_MS) * GENERATION_MS
    this.#generation(start).add(
      low === 0 && high === 0 ? 1 : low,
      high,
      Math.floor((time - start) / TIME_STEP_MS),
      value,
    )
  }

  has(low: number, high: number, since: number): boolean {
    return this.largest(low, high, since) >= 0
  }

  /** Largest value of the fingerprint's entries with time >= `since` (to 16 ms); -1 = there is none. */
  largest(low: number, high: number, since: number): number {
    const lowWord = low === 0 && high === 0 ? 1 : low
    let best = -1
    for (const generation of this.#generations) {
      const fromStep = Math.floor((since - generation.start) / TIME_STEP_MS)
      if (fromStep >= STEPS) continue
      const found = generation.largest(lowWord, high, fromStep)
      if (found > best) best = found
    }
    return best
  }

  /** Frees the generations in which nothing is as late as `since`. */
  forget(since: number): void {
    const kept = this.#generations.filter((generation) => generation.start + GENERATION_MS > since)
    if (kept.length < this.#generations.length) this.#generations = kept
  }

  #generation(start: number): Generation {
    const last = this.#generations.at(-1)
    if (last?.start === start) return last
    const known = this.#generations.find((generation) => generation.start === start)
    if (known) return known
    const generation = new Generation(start, this.#withValues)
    this.#generations.push(generation)
    return generation
  }
}
