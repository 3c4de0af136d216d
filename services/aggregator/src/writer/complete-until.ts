/** End offsets of every partition of hits.raw, read after `timeMs`: what was in the log before it lies below them. */
export interface Snapshot {
  readonly timeMs: number
  readonly ends: ReadonlyMap<number, number>
}

/** Snapshots are kept this close: a part of the time for which the oldest waits. */
const CLOSENESS = 1 / 32

/** True when everything below the ends of the snapshot is inserted; `srcMax` by partition, -1 or missing = nothing. */
export function reached({ ends }: Snapshot, srcMax: ReadonlyMap<number, number>): boolean {
  for (const [partition, end] of ends) if ((srcMax.get(partition) ?? -1) + 1 < end) return false
  return true
}

/**
 * The time up to which every hit in the log is counted. Snapshots of the log are taken when somebody asks and after
 * flushes, never by a timer; the answer never goes back.
 */
export class Completeness {
  #until = 0
  #pending: Snapshot[] = []

  /** Epoch ms; 0 = nothing is known yet. */
  get until(): number {
    return this.#until
  }

  /** Snapshots wait for inserts to reach them. */
  get waits(): boolean {
    return this.#pending.length > 0
  }

  /**
   * Notes a snapshot. The oldest stays until it is reached, however often somebody asks. Of those that come closely behind one
   * another only the last is kept, so that they are few: the answer gets coarser the longer hits wait, never wrong.
   */
  note(snapshot: Snapshot): void {
    const { timeMs } = snapshot
    const [oldest] = this.#pending
    const secondLast = this.#pending.at(-2)
    if (oldest && secondLast && timeMs - secondLast.timeMs < (timeMs - oldest.timeMs) * CLOSENESS) this.#pending.pop()
    this.#pending.push(snapshot)
  }

  /** Looks at what is inserted now. */
  advance(srcMax: ReadonlyMap<number, number>): void {
    this.#pending = this.#pending.filter((snapshot) => {
      if (!reached(snapshot, srcMax)) return snapshot.timeMs > this.#until
      this.#until = Math.max(this.#until, snapshot.timeMs)
      return false
    })
  }
}
