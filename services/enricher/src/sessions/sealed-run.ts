import { type ColdFile, type Kept, nameOf, type Place } from '../cold/cold-folder.ts'
import { KeyFilter } from './key-filter.ts'
import { homeSlot, SHARDS, type Shard, shardOf } from './shard.ts'

/** Slots that are read at a time: 512 bytes. Probing seldom goes further. */
const WINDOW_SLOTS = 64
const WORDS_BYTES = 8
const STEP_BYTES = 2
const VALUE_BYTES = 4

/** What is read of a window, of whichever run: nothing is allocated for a lookup. */
const words = new Uint32Array(WINDOW_SLOTS * 2)
const wordsBytes = new Uint8Array(words.buffer)
const steps = new Uint16Array(WINDOW_SLOTS)
const stepsBytes = new Uint8Array(steps.buffer)
const values = new Uint32Array(WINDOW_SLOTS)
const valuesBytes = new Uint8Array(values.buffer)

export interface SavedRun {
  readonly file: string
  readonly filter: Place
  readonly starts: Place
  readonly capacities: Place
}

/**
 * Entries of a generation that lie in a file, their shards as they were in memory, and never change. In memory a filter of
 * their fingerprints stays, so that the file is read for what it holds and for few others.
 */
export class SealedRun {
  readonly file: ColdFile
  readonly #withValues: boolean
  readonly #filter: KeyFilter
  /** By shard: where it begins in the file. */
  readonly #starts: Float64Array
  /** By shard: its slots; 0 = nothing was in it. */
  readonly #capacities: Uint32Array

  private constructor(
    file: ColdFile,
    withValues: boolean,
    filter: KeyFilter,
    starts = new Float64Array(SHARDS),
    capacities = new Uint32Array(SHARDS),
  ) {
    this.file = file
    this.#withValues = withValues
    this.#filter = filter
    this.#starts = starts
    this.#capacities = capacities
  }

  /**
   * Writes the shards, of `count` entries altogether, into a file of their own, which the run closes from then on.
   * @throws Error of the file system: then the file is the caller's to close
   */
  static write(file: ColdFile, shards: readonly (Shard | undefined)[], count: number, withValues: boolean): SealedRun {
    const run = new SealedRun(file, withValues, KeyFilter.for(count))
    for (let index = 0; index < SHARDS; index++) {
      const shard = shards[index]
      if (shard === undefined) continue
      run.#capacities[index] = shard.capacity
      run.#starts[index] = shard.save(file).words[0]
      shard.addKeysTo(run.#filter)
    }
    return run
  }

  /** All but the file, which has to have a name. */
  save(into: ColdFile): SavedRun {
    const [starts, capacities] = [into.put(this.#starts), into.put(this.#capacities)]
    const file = nameOf(this.file)
    return { file, filter: this.#filter.save(into), starts, capacities }
  }

  static load({ arrays, open }: Kept, saved: SavedRun, withValues: boolean): SealedRun {
    const { file, filter, starts, capacities } = saved
    return new SealedRun(
      open(file, 0),
      withValues,
      KeyFilter.load(arrays, filter),
      new Float64Array(arrays.take(starts)),
      new Uint32Array(arrays.take(capacities)),
    )
  }

  /** Bytes of memory. */
  get bytes(): number {
    return this.#filter.bytes + this.#starts.byteLength + this.#capacities.byteLength
  }

  /** False = the fingerprint is not in the run. It costs no look into the file. */
  mayHold(low: number, high: number): boolean {
    return this.#filter.mayHold(low, high)
  }

  /** As `largest` of Shard, from the file. @throws Error of the file system */
  largest(low: number, high: number, fromStep: number): number {
    const shard = shardOf(high)
    const capacity = this.#capacities[shard]!
    if (capacity === 0) return -1
    const start = this.#starts[shard]!
    let best = -1
    let slot = homeSlot(low, capacity)
    for (;;) {
      const count = Math.min(WINDOW_SLOTS, capacity - slot)
      this.#read(start + slot * WORDS_BYTES, wordsBytes, count * WORDS_BYTES)
      let hasTimes = false
      for (let i = 0; i < count; i++) {
        const a = words[i * 2]!
        const b = words[i * 2 + 1]!
        if (a === 0 && b === 0) return best
        if (a !== low || b !== high) continue
        if (!hasTimes) this.#readTimes(start + capacity * WORDS_BYTES, capacity, slot, count)
        hasTimes = true
        if (steps[i]! < fromStep) continue
        if (!this.#withValues) return 0
        if (values[i]! > best) best = values[i]!
      }
      slot = slot + count === capacity ? 0 : slot + count
    }
  }

  /** Frees the disk space. */
  close(): void {
    this.file.close()
  }

  /** Reads steps and values of a window. `start`: where the shard's steps begin. */
  #readTimes(start: number, capacity: number, slot: number, count: number): void {
    this.#read(start + slot * STEP_BYTES, stepsBytes, count * STEP_BYTES)
    if (!this.#withValues) return
    this.#read(start + capacity * STEP_BYTES + slot * VALUE_BYTES, valuesBytes, count * VALUE_BYTES)
  }

  /** Reads so many bytes, or more: what lies behind them means nothing. */
  #read(at: number, into: Uint8Array, needed: number): void {
    if (this.file.read(at, into) < needed)
      throw new Error('a file of what was put aside is shorter than it was written')
  }
}
