import type { EnrichedRecord, RowsByMonth } from '@millrace/shared'
import type { Cursor } from './chain.ts'

/** When a batch is frozen (docs: guarantees, step 1). */
export interface BatchLimits {
  readonly rows: number
  readonly bytes: number
  /** A batch touches at most this many months: one part per target and month. */
  readonly months: number
  /** Longest wait of the oldest row, ms; the second once batches exceed `busyRows`. */
  readonly lingerMs: number
  readonly busyLingerMs: number
  readonly busyRows: number
}

export const BATCH_LIMITS: BatchLimits = {
  rows: 200_000,
  bytes: 64 << 20,
  months: 2,
  lingerMs: 500,
  busyLingerMs: 1_500,
  // An insert costs some 50 ms of a core however small it is, and each of its parts is merged again and again: from some
  // 4,000 hits a second on, a third as many are enough.
  busyRows: 2_000,
}

/** A partition while it is ours: losing it and getting it back makes another object of it. */
export interface Owner {
  readonly partition: number
  readonly kp: number
}

/** An accepted record that waits for its batch. */
export interface Gathered<O extends Owner = Owner> {
  readonly owner: O
  readonly offset: number
  /** The partition's cursor before this record. */
  readonly before: Cursor
  readonly record: EnrichedRecord
  /** When it came, ms of a monotonic clock. */
  readonly arrivedAt: number
}

const bytesOf = (record: EnrichedRecord): number => record.hits.length + record.sessions.length

/** Months of the hits and of the sessions of a record. */
function monthsOf(record: Pick<EnrichedRecord, 'hitRows' | 'sessionRows'>): number[] {
  return [...new Set([...Object.keys(record.hitRows), ...Object.keys(record.sessionRows)].map(Number))]
}

/** Number of records at the head of the queue that make the next batch: at least one, if there is one. */
export function cut(queue: readonly Gathered[], limits: BatchLimits): number {
  const months = new Set<number>()
  let rows = 0
  let bytes = 0
  for (let i = 0; i < queue.length; i++) {
    const { record } = queue[i]!
    rows += record.rows
    bytes += bytesOf(record)
    for (const month of monthsOf(record)) months.add(month)
    if (i > 0 && (rows > limits.rows || bytes > limits.bytes || months.size > limits.months)) return i
  }
  return queue.length
}

/** What came from the log and is not yet part of a batch, in order of arrival. */
export class Queue<O extends Owner = Owner> {
  rows = 0
  bytes = 0
  #waiting: Gathered<O>[] = []
  #months = new Set<number>()
  readonly #limits: BatchLimits
  #lastRows = 0

  constructor(limits: BatchLimits) {
    this.#limits = limits
  }

  get empty(): boolean {
    return this.#waiting.length === 0
  }

  push(gathered: Gathered<O>): void {
    this.#waiting.push(gathered)
    this.#count(gathered)
  }

  /** The next batch will not get larger by waiting. */
  get hasWholeBatch(): boolean {
    return this.rows >= this.#limits.rows || this.bytes >= this.#limits.bytes || this.#months.size > this.#limits.months
  }

  /** More than this is not gathered while an insert runs: about two batches. */
  get full(): boolean {
    return this.rows >= 2 * this.#limits.rows || this.bytes >= 2 * this.#limits.bytes
  }

  /** Milliseconds until the next batch is frozen: 0 = now, Infinity = nothing waits. */
  dueInMs(now: number): number {
    const oldest = this.#waiting[0]
    if (!oldest) return Number.POSITIVE_INFINITY
    if (this.hasWholeBatch) return 0
    const { lingerMs, busyLingerMs, busyRows } = this.#limits
    const linger = this.#lastRows > busyRows ? busyLingerMs : lingerMs
    return Math.max(0, linger - (now - oldest.arrivedAt))
  }

  /** Takes the next batch off the queue. */
  take(): Gathered<O>[] {
    const batch = this.#waiting.splice(0, cut(this.#waiting, this.#limits))
    this.#recount()
    this.#lastRows = batch.reduce((sum, { record }) => sum + record.rows, 0)
    return batch
  }

  /** Forgets what came from a partition that was lost. */
  drop(owner: O): void {
    this.#waiting = this.#waiting.filter((gathered) => gathered.owner !== owner)
    this.#recount()
  }

  #recount(): void {
    this.rows = 0
    this.bytes = 0
    this.#months = new Set()
    for (const gathered of this.#waiting) this.#count(gathered)
  }

  #count({ record }: Gathered<O>): void {
    this.rows += record.rows
    this.bytes += bytesOf(record)
    for (const month of monthsOf(record)) this.#months.add(month)
  }
}

/** What one partition gives to a batch. */
export interface Share<O extends Owner = Owner> {
  readonly owner: O
  /** The enriched offsets [before.next, last]; `before` is where the reader stood. */
  readonly before: Cursor
  readonly last: number
  /** Raw offsets that the records cover. */
  readonly srcFrom: number
  readonly srcTo: number
  readonly hitRows: RowsByMonth
  readonly sessionRows: RowsByMonth
  readonly records: readonly EnrichedRecord[]
}

/** The shares of a batch by partition, in order of partitions. */
export function sharesOf<O extends Owner>(batch: readonly Gathered<O>[]): Share<O>[] {
  const byOwner = new Map<O, Gathered<O>[]>()
  for (const gathered of batch) {
    const list = byOwner.get(gathered.owner)
    if (list) list.push(gathered)
    else byOwner.set(gathered.owner, [gathered])
  }
  return [...byOwner.values()].map(shareOf).sort((a, b) => a.owner.partition - b.owner.partition)
}

/** The share of a partition; `gathered` is not empty and of one partition. */
export function shareOf<O extends Owner>(gathered: readonly Gathered<O>[]): Share<O> {
  const first = gathered[0]!
  const last = gathered.at(-1)!
  return {
    owner: first.owner,
    before: first.before,
    last: last.offset,
    srcFrom: first.record.srcFrom,
    srcTo: last.record.srcTo,
    hitRows: sum(gathered.map(({ record }) => record.hitRows)),
    sessionRows: sum(gathered.map(({ record }) => record.sessionRows)),
    records: gathered.map(({ record }) => record),
  }
}

/** Where the reader stands after a share. */
export const cursorAfter = (share: Share): Cursor => ({
  next: share.last + 1,
  head: share.last,
  srcMax: share.srcTo,
})

function sum(all: readonly RowsByMonth[]): RowsByMonth {
  const total: Record<number, number> = {}
  for (const rows of all) {
    for (const [month, n] of Object.entries(rows)) total[Number(month)] = (total[Number(month)] ?? 0) + n
  }
  return total
}
