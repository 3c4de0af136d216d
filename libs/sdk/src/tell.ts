import type { Waiting } from './hit-queue.ts'
import type { SentHit } from './hits.ts'
import type { Refusal } from './judge.ts'
import type { DropReason, Listeners, Retry } from './options.ts'

/** What became of all hits so far, and what is waiting. */
export interface Stats {
  /** Hits that wait or are on their way, and the bytes of their JSON. */
  readonly queued: number
  readonly queuedBytes: number
  readonly delivered: number
  readonly refused: number
  readonly ignored: number
  readonly dropped: Readonly<Record<DropReason, number>>
  /** Requests that failed and were repeated. */
  readonly retries: number
}

/** Counts what becomes of hits, and tells those who want to know; what they throw stays here. */
export class Outcomes {
  readonly #listeners: Listeners
  #delivered = 0
  #refused = 0
  #ignored = 0
  #retries = 0
  readonly #dropped: Record<DropReason, number> = { queue_full: 0, too_large: 0, invalid: 0, expired: 0, closed: 0 }

  constructor(listeners: Listeners) {
    this.#listeners = listeners
  }

  counts(): Omit<Stats, 'queued' | 'queuedBytes'> {
    return {
      delivered: this.#delivered,
      refused: this.#refused,
      ignored: this.#ignored,
      dropped: { ...this.#dropped },
      retries: this.#retries,
    }
  }

  delivered(hits: readonly Waiting[]): void {
    if (hits.length === 0) return
    this.#delivered += hits.length
    const { onDelivered } = this.#listeners
    if (onDelivered) quietly(() => onDelivered(hits.map(({ id }) => id)))
  }

  refused(hit: Waiting, refusal: Refusal): void {
    this.#refused++
    const { onRefused } = this.#listeners
    if (onRefused) quietly(() => onRefused(read(hit), refusal))
  }

  ignored(hit: Waiting | null, reason: string): void {
    this.#ignored++
    const { onIgnored } = this.#listeners
    if (onIgnored) quietly(() => onIgnored(hit && read(hit), reason))
  }

  dropped(hit: Waiting | SentHit | null, reason: DropReason): void {
    this.#dropped[reason]++
    const { onDrop } = this.#listeners
    if (onDrop) quietly(() => onDrop(hit && 'json' in hit ? read(hit) : hit, reason))
  }

  retried(retry: Retry): void {
    this.#retries++
    const { onRetry } = this.#listeners
    if (onRetry) quietly(() => onRetry(retry))
  }
}

const read = ({ json }: Waiting): SentHit => JSON.parse(json)

function quietly(tell: () => unknown): void {
  try {
    const told = tell()
    // Of an async listener.
    if (told instanceof Promise) told.catch(() => {})
  } catch {
    // The host's mistake must not stop its hits.
  }
}
