/** A hit that waits, as the JSON that will be sent. */
export interface Waiting {
  readonly id: string
  readonly json: string
  /** Of the JSON in UTF-8. */
  readonly bytes: number
  /** Rises by one a hit. */
  readonly number: number
  /** By the clock of waits (ms). */
  readonly since: number
  /** Epoch milliseconds of its first sending; 0 = not sent yet. */
  firstSentAt: number
}

export interface QueueLimits {
  readonly hits: number
  readonly bytes: number
}

/** Hits in the order in which they came, bounded in number and bytes. Those on their way count until they are settled. */
export class HitQueue {
  readonly #limits: QueueLimits
  #waiting: Waiting[] = []
  /** Index of the first in `#waiting` that is not taken yet. */
  #head = 0
  #waitingBytes = 0
  #hits = 0
  #bytes = 0

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  /** Hits that are not settled: waiting or on their way. */
  get hits(): number {
    return this.#hits
  }
  get bytes(): number {
    return this.#bytes
  }
  /** The next one to be taken. */
  get first(): Waiting | undefined {
    return this.#waiting[this.#head]
  }

  /** False: it is full, and the hit is not in it. */
  offer(hit: Waiting): boolean {
    if (this.#hits >= this.#limits.hits || this.#bytes + hit.bytes > this.#limits.bytes) return false
    this.#waiting.push(hit)
    this.#waitingBytes += hit.bytes
    this.#hits++
    this.#bytes += hit.bytes
    return true
  }

  /** Whether what waits fills a batch: then nothing is gained by waiting for more. */
  fills(maxHits: number, maxBytes: number): boolean {
    return this.#waiting.length - this.#head >= maxHits || this.#waitingBytes >= maxBytes
  }

  /** Takes the first hits, with a byte between each two; at least one if there is any. */
  take(maxHits: number, maxBytes: number): Waiting[] {
    let end = this.#head
    let bytes = 0
    while (end < this.#waiting.length && end - this.#head < maxHits) {
      const more = this.#waiting[end]!.bytes + 1
      if (end > this.#head && bytes + more > maxBytes) break
      bytes += more
      end++
    }
    const batch = this.#waiting.slice(this.#head, end)
    this.#waitingBytes -= bytes - batch.length
    this.#head = end
    if (this.#head > 1_000 || this.#head === this.#waiting.length) this.#compact()
    return batch
  }

  /** Hits that were taken and must be sent again: first of all, or after all others. */
  giveBack(batch: readonly Waiting[], last = false): void {
    this.#compact()
    this.#waiting = last ? [...this.#waiting, ...batch] : [...batch, ...this.#waiting]
    for (const { bytes } of batch) this.#waitingBytes += bytes
  }

  /** Hits that were taken and are done with. */
  settle(batch: readonly Waiting[]): void {
    this.#hits -= batch.length
    for (const { bytes } of batch) this.#bytes -= bytes
  }

  #compact(): void {
    this.#waiting = this.#waiting.slice(this.#head)
    this.#head = 0
  }
}
