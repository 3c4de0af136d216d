import type { StoredRecord } from '../event-log.ts'
import type { Demand, Fetched } from './fetcher.ts'

/** One assigned partition on its way from the broker to the handler: at most one batch waits while one is handled. */
export class PartitionFlow {
  readonly topic: string
  readonly fullTopic: string
  readonly partition: number
  isPaused = false
  isHandling = false
  /** Not before onAssigned, and never again once lost. */
  isOpen = false
  /** The committed offset, or one that was sought: to find it outside of the log is a loss, not a start. */
  isPinned: boolean
  #next: number
  #waiting: readonly StoredRecord[] | null = null

  constructor(topic: string, fullTopic: string, partition: number, next: number, isPinned: boolean) {
    this.topic = topic
    this.fullTopic = fullTopic
    this.partition = partition
    this.#next = next
    this.isPinned = isPinned
  }

  /** What is to be fetched now, if anything. */
  get demand(): Demand | null {
    if (!this.isOpen || this.isPaused || this.#waiting) return null
    return { topic: this.fullTopic, partition: this.partition, offset: this.#next }
  }

  get next(): number {
    return this.#next
  }

  seek(offset: number): void {
    this.#next = offset
    this.#waiting = null
    this.isPinned = true
  }

  /** Takes what was fetched, unless a seek has made it pointless. */
  accept({ demand, records, next }: Fetched): void {
    if (!this.isOpen || this.#waiting || demand.offset !== this.#next) return
    this.#next = next
    this.isPinned = true
    if (records.length > 0) this.#waiting = records
  }

  /** The records to hand over now; null while the handler works, is paused, or nothing waits. */
  take(): readonly StoredRecord[] | null {
    if (!this.isOpen || this.isPaused || this.isHandling || !this.#waiting) return null
    const records = this.#waiting
    this.#waiting = null
    return records
  }
}
