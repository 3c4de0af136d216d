/**
 * The chain of one partition of hits.enriched, from the writer's side: compare-and-swap on the log. A record is accepted
 * by every reader if and only if its `prev` is the offset of the last record accepted before it.
 */
import type { LogProducer, LogReader, LogRecord, StoredRecord } from '@millrace/log'
import { decodeEnriched, type EnrichedRecord, HITS_ENRICHED } from '@millrace/shared'
import { retryInDoubt } from './append.ts'

/** What the chain needs of the log. */
export interface ChainLog {
  readonly producer: LogProducer
  readonly reader: LogReader
}

/** A record that can be read; null = it is none of ours, and nobody accepts it. */
export function tryDecode(stored: StoredRecord): EnrichedRecord | null {
  try {
    return decodeEnriched(stored)
  } catch {
    return null
  }
}

/** Follows one partition's chain and appends to it. */
export class Chain {
  readonly #log: ChainLog
  readonly #partition: number
  #head: number
  #lookedTo: number

  /** `head`: the last accepted record, -1 = none; everything below `lookedTo` was looked at. */
  constructor(log: ChainLog, partition: number, head: number, lookedTo: number) {
    this.#log = log
    this.#partition = partition
    this.#head = head
    this.#lookedTo = lookedTo
  }

  /** Offset of the last accepted record; -1 = none. */
  get head(): number {
    return this.#head
  }

  /**
   * Appends a record whose `prev` is the head; in doubt, again with the same bytes. True = it was accepted, and nobody
   * else's since. False = another writer was first: all that was computed on the old head is void.
   */
  async append(record: LogRecord, onDoubt: () => void): Promise<boolean> {
    const base = await retryInDoubt(() => this.#append(record), onDoubt)
    if (base !== this.#lookedTo) return this.#look(base + 1, record)
    this.#head = base
    this.#lookedTo = base + 1
    return true
  }

  /** Whether nobody's record was accepted up to `end`. */
  isFirstUpTo(end: number): Promise<boolean> {
    return this.#look(end, null)
  }

  async #append(record: LogRecord): Promise<number> {
    const bases = await this.#log.producer.append(HITS_ENRICHED.name, new Map([[this.#partition, [record]]]))
    return bases.get(this.#partition)!
  }

  /** Follows the chain up to `to`. True = nothing was accepted but `own`, once. (A doubt may have written it twice.) */
  async #look(to: number, own: LogRecord | null): Promise<boolean> {
    let onlyOwn = true
    for await (const batch of this.#read(to)) {
      for (const stored of batch) {
        if (tryDecode(stored)?.prev !== this.#head) continue
        this.#head = stored.offset
        onlyOwn &&= own !== null && isSame(stored, own)
      }
    }
    this.#lookedTo = Math.max(to, this.#lookedTo)
    return onlyOwn
  }

  #read(to: number): AsyncIterable<readonly StoredRecord[]> | [] {
    if (to <= this.#lookedTo) return []
    return this.#log.reader.read(HITS_ENRICHED.name, this.#partition, this.#lookedTo, to)
  }
}

function isSame(stored: StoredRecord, own: LogRecord): boolean {
  const names = Object.keys(own.headers ?? {})
  return (
    isEqual(stored.value, own.value) &&
    names.length === Object.keys(stored.headers).length &&
    names.every((name) => isEqual(stored.headers[name] ?? null, own.headers![name]!))
  )
}

const isEqual = (a: Buffer | null, b: Buffer | null): boolean => (a === null || b === null ? a === b : a.equals(b))
