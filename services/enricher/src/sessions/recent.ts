/**
 * What was seen lately, by 64-bit fingerprint, in 11 to 14 bytes an entry (15 to 20 with values): open-addressed typed
 * arrays by generation of received_at, so that what is too old goes away a generation at a time and nothing is ever
 * dropped because memory is short. (A Map of strings needs 150 bytes and more.) Where there are many of them they are put
 * aside: they lie in files then, and 1.5 bytes an entry stay in memory. What is remembered is the same.
 */
import type { ColdFile, ColdFolder, Kept } from '../cold/cold-folder.ts'
import { type SavedRun, SealedRun } from './sealed-run.ts'
import { GROWTH, type SavedShard, SHARDS, Shard, shardOf } from './shard.ts'

/** Times are kept in steps of 16 ms, rounded up: an entry never expires early. */
export const TIME_STEP_MS = 16
const STEPS = 65_536
const GENERATION_MS = STEPS * TIME_STEP_MS
/** Entries in memory from which on the newest generation is put aside, 3 MB and more; older ones from a part of it on. */
const SEAL_FROM = 262_144
const OLDER_SEAL_PART = 1 / 8

interface SavedGeneration {
  readonly start: number
  readonly count: number
  readonly shards: readonly (SavedShard | null)[]
  readonly runs: readonly SavedRun[]
}
export type SavedTable = readonly SavedGeneration[]

/** The entries of one span of received_at. */
class Generation {
  readonly start: number
  readonly #shards: (Shard | undefined)[] = new Array(SHARDS).fill(undefined)
  readonly #runs: SealedRun[] = []
  readonly #withValues: boolean
  count = 0
  /** Those of them that are in memory. */
  unsealed = 0

  constructor(start: number, withValues: boolean) {
    this.start = start
    this.#withValues = withValues
  }

  add(low: number, high: number, step: number, value: number): void {
    const index = shardOf(high)
    let shard = this.#shards[index]
    if (shard === undefined) {
      // Capacities are spread over one step of growth, so that the shards of a generation do not all grow at once.
      shard = new Shard(Math.round(24 * GROWTH ** (index / SHARDS)), this.#withValues)
      this.#shards[index] = shard
    }
    shard.add(low, high, step, value)
    this.count++
    this.unsealed++
  }

  get bytes(): number {
    return sum(this.#shards.map((shard) => shard?.bytes ?? 0)) + sum(this.#runs.map(({ bytes }) => bytes))
  }

  largest(low: number, high: number, fromStep: number): number {
    const found = this.#shards[shardOf(high)]?.largest(low, high, fromStep) ?? -1
    return this.#runs.length === 0 ? found : this.#largestSealed(low, high, fromStep, found)
  }

  /** Moves what is in memory into a file of its own. @throws Error of the file system: then all is as it was */
  seal(folder: ColdFolder): void {
    const file = folder.create()
    try {
      this.#runs.push(SealedRun.write(file, this.#shards, this.unsealed, this.#withValues))
    } catch (error) {
      file.close()
      throw error
    }
    this.#shards.fill(undefined)
    this.unsealed = 0
  }

  save(into: ColdFile): SavedGeneration {
    const { start, count } = this
    const shards = this.#shards.map((shard) => shard?.save(into) ?? null)
    return { start, count, shards, runs: this.#runs.map((run) => run.save(into)) }
  }

  static load(kept: Kept, { start, count, shards, runs }: SavedGeneration, withValues: boolean): Generation {
    const generation = new Generation(start, withValues)
    for (const [i, shard] of shards.entries())
      if (shard !== null) generation.#shards[i] = Shard.load(kept.arrays, shard)
    for (const run of runs) generation.#runs.push(SealedRun.load(kept, run, withValues))
    generation.count = count
    generation.unsealed = sum(generation.#shards.map((shard) => shard?.count ?? 0))
    return generation
  }

  /** What is put aside. */
  get files(): ColdFile[] {
    return this.#runs.map(({ file }) => file)
  }

  /** Frees the files. The generation must not be asked afterwards. */
  close(): void {
    for (const run of this.#runs) run.close()
  }

  #largestSealed(low: number, high: number, fromStep: number, inMemory: number): number {
    let best = inMemory
    for (const run of this.#runs) {
      if (!run.mayHold(low, high)) continue
      const found = run.largest(low, high, fromStep)
      if (found > best) best = found
    }
    return best
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((a, b) => a + b, 0)

/**
 * Fingerprints with the time, and if wanted a value, that each was added with. Times are epoch milliseconds. Questions throw
 * the error of the file system where a file that was put aside cannot be read.
 */
export class RecentTable {
  #generations: Generation[] = []
  readonly #withValues: boolean
  readonly #folder: ColdFolder | null
  readonly #sealFrom: number

  /** `folder`: for what is put aside; without one everything stays in memory. `sealFrom`: entries, as SEAL_FROM. */
  constructor(withValues = false, folder: ColdFolder | null = null, sealFrom = SEAL_FROM) {
    this.#withValues = withValues
    this.#folder = folder
    this.#sealFrom = sealFrom
  }

  /** Entries held, those put aside and the expired ones of a living generation included. */
  get size(): number {
    return sum(this.#generations.map(({ count }) => count))
  }

  /** Bytes of memory that the entries take. */
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
    const isKept = (generation: Generation): boolean => generation.start + GENERATION_MS > since
    const gone = this.#generations.filter((generation) => !isKept(generation))
    if (gone.length === 0) return
    this.#generations = this.#generations.filter(isKept)
    for (const generation of gone) generation.close()
  }

  /**
   * Moves the generations of which much is in memory into files of the folder. It writes megabytes and waits for them: for
   * between batches. What cannot be written stays in memory.
   */
  putAside(): void {
    const folder = this.#folder
    if (folder === null) return
    const newest = Math.max(...this.#generations.map(({ start }) => start))
    for (const generation of this.#generations) {
      const from = generation.start === newest ? this.#sealFrom : this.#sealFrom * OLDER_SEAL_PART
      if (generation.unsealed > 0 && generation.unsealed >= from) folder.try(() => generation.seal(folder))
    }
  }

  save(into: ColdFile): SavedTable {
    return this.#generations.map((generation) => generation.save(into))
  }

  /** Into a table without entries. */
  load(kept: Kept, saved: SavedTable): void {
    for (const generation of saved) this.#generations.push(Generation.load(kept, generation, this.#withValues))
  }

  /** What is put aside. */
  get files(): ColdFile[] {
    return this.#generations.flatMap(({ files }) => files)
  }

  /** Forgets everything and frees the files. A table that has put nothing aside need not be closed. */
  close(): void {
    const gone = this.#generations
    this.#generations = []
    for (const generation of gone) generation.close()
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
