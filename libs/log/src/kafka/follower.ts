import type { Following, StoredRecord } from '../event-log.ts'
import type { Demand, Fetched } from './fetcher.ts'
import { withResolvers } from './membership.ts'

export type OnRecords = (partition: number, records: readonly StoredRecord[]) => void | Promise<void>

export interface FollowerOptions {
  readonly topic: string
  readonly fullTopic: string
  readonly onRecords: OnRecords
  /** Oldest offsets and ends, as they are now. */
  readonly start: () => Promise<{ lows: Map<number, number>; ends: Map<number, number> }>
  /** There is something new to fetch. */
  readonly onReady: () => void
  readonly onEnd: () => void
}

/** Goes through a topic from the oldest record on, and stays. Fetching is done by the reader's fetcher for all followers. */
export class Follower implements Following {
  readonly fullTopic: string
  readonly caughtUp: Promise<void>
  readonly done: Promise<void>
  readonly #options: FollowerOptions
  readonly #reached = withResolvers<void>()
  readonly #ended = withResolvers<void>()
  /** Per partition: the offset to go on with, and where the topic ended at the call. */
  readonly #next = new Map<number, number>()
  #targets: ReadonlyMap<number, number> = new Map()
  /** Partitions whose records are with the handler. */
  readonly #handling = new Set<number>()
  readonly #underway = new Set<Promise<void>>()
  #isOpen = false

  constructor(options: FollowerOptions) {
    this.#options = options
    this.fullTopic = options.fullTopic
    this.done = this.#ended.promise
    // Failures come out of both; stopping before the end was reached ends the waiting for it.
    this.caughtUp = Promise.race([this.#reached.promise, this.done])
    this.done.catch(() => {})
    this.caughtUp.catch(() => {})
    this.#begin().catch((error: Error) => this.#end(error))
  }

  *demands(): Generator<Demand> {
    if (!this.#isOpen) return
    for (const [partition, offset] of this.#next) {
      if (!this.#handling.has(partition)) yield { topic: this.fullTopic, partition, offset }
    }
  }

  accept({ demand, records, next }: Fetched): void {
    const { topic, partition, offset } = demand
    if (!this.#isOpen || topic !== this.fullTopic || this.#handling.has(partition)) return
    const from = this.#next.get(partition)
    if (from === undefined || from < offset || from >= next) return
    this.#handling.add(partition)
    const wanted = from === offset ? records : records.filter((record) => record.offset >= from)
    const work = this.#hand(partition, wanted, next).catch((error: Error) => this.#end(error))
    this.#underway.add(work)
    work.finally(() => this.#underway.delete(work))
  }

  /** Retention has passed the followed offset: what is gone cannot be delivered, the oldest that is left comes next. */
  async restart(): Promise<void> {
    this.#isOpen = false
    try {
      const { lows } = await this.#options.start()
      for (const [partition, next] of this.#next) this.#next.set(partition, Math.max(next, lows.get(partition) ?? next))
      this.#open()
    } catch (error) {
      this.#end(error as Error)
    }
  }

  /** Waits for the handler. */
  async stop(): Promise<void> {
    this.#end(null)
    await Promise.all(this.#underway)
  }

  async #begin(): Promise<void> {
    const { lows, ends } = await this.#options.start()
    this.#targets = ends
    for (const [partition, low] of lows) this.#next.set(partition, low)
    this.#open()
  }

  #open(): void {
    if (this.#isEnded) return
    this.#isOpen = true
    this.#checkCaughtUp()
    this.#options.onReady()
  }

  async #hand(partition: number, records: readonly StoredRecord[], next: number): Promise<void> {
    if (records.length > 0) await this.#options.onRecords(partition, records)
    this.#handling.delete(partition)
    this.#next.set(partition, next)
    this.#checkCaughtUp()
    this.#options.onReady()
  }

  #checkCaughtUp(): void {
    for (const [partition, target] of this.#targets) if (this.#next.get(partition)! < target) return
    this.#reached.resolve()
  }

  #isEnded = false

  #end(error: Error | null): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#isOpen = false
    this.#options.onEnd()
    if (error) this.#ended.reject(error)
    else this.#ended.resolve()
  }
}
