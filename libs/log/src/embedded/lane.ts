import type { StoredRecord } from '../event-log.ts'

/** A lane takes no more frames above this, and again below half of it. Bytes of frames. */
const LANE_MAX_BYTES = 4 << 20
/** Records are handed over in batches of about this many bytes. */
const BATCH_BYTES = 1 << 20

interface Waiting {
  readonly records: StoredRecord[]
  readonly bytes: number
}

/** One partition of a consumer: how far it was read, and what waits to be handed over. */
export class Lane {
  readonly topic: string
  readonly partition: number
  /** Offset of the next record to take in from the files. */
  next: number
  /** Where in the topic that record is, or before; null = not known yet. */
  position: number | null = null
  /** Rises with every seek: what was begun before it is no longer wanted. */
  turn = 0
  /** Nothing was read since it was told where to begin: that may be before the oldest record. */
  sought = true
  paused = false
  /** A batch is with the handler. */
  busy = false
  #waiting: Waiting[] = []
  #bytes = 0
  #full = false

  constructor(topic: string, partition: number, next: number) {
    this.topic = topic
    this.partition = partition
    this.next = next
  }

  /** May take in records. */
  get isHungry(): boolean {
    return !this.paused && !this.#full && this.position !== null
  }
  get isFull(): boolean {
    return this.#full
  }
  get hasRecords(): boolean {
    return this.#waiting.length > 0
  }

  seek(offset: number): void {
    this.turn++
    this.sought = true
    this.next = offset
    this.position = null
    this.#waiting = []
    this.#bytes = 0
    this.#full = false
  }

  /** The place of the next record was found. */
  settle(next: number, position: number): void {
    this.next = next
    this.position = position
    this.sought = false
  }

  put(records: StoredRecord[], bytes: number): void {
    if (records.length === 0) return
    this.#waiting.push({ records, bytes })
    this.#bytes += bytes
    if (this.#bytes >= LANE_MAX_BYTES) this.#full = true
  }

  /** The next batch, never empty. Only when `hasRecords`. */
  take(): StoredRecord[] {
    let count = 0
    let bytes = 0
    while (count < this.#waiting.length && (count === 0 || bytes + this.#waiting[count]!.bytes <= BATCH_BYTES))
      bytes += this.#waiting[count++]!.bytes
    const taken = this.#waiting.splice(0, count)
    this.#bytes -= bytes
    if (this.#bytes <= LANE_MAX_BYTES / 2) this.#full = false
    return taken.length === 1 ? taken[0]!.records : taken.flatMap(({ records }) => records)
  }
}
