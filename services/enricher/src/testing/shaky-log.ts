/**
 * One partition of hits.raw and hits.enriched in memory, whose appends take their time, end in doubt, arrive late or
 * twice, all by a seed. For tests of what the chain must survive; the adapters are tested in @millrace/log.
 */
import {
  AppendInDoubt,
  type LogAdmin,
  type LogProducer,
  type LogReader,
  type LogRecord,
  type StoredRecord,
} from '@millrace/log'
import { HITS_ENRICHED, HITS_RAW } from '@millrace/shared'

/** Numbers in [0, 1), always the same for a seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}

export class ShakyLog {
  readonly topics = new Map<string, StoredRecord[]>()
  readonly #random: () => number
  doubts = 0

  constructor(random: () => number) {
    this.#random = random
  }

  records(topic: string): StoredRecord[] {
    let records = this.topics.get(topic)
    if (records === undefined) {
      records = []
      this.topics.set(topic, records)
    }
    return records
  }

  write(topic: string, record: LogRecord, timestamp = 0): number {
    const records = this.records(topic)
    const { key = null, value, headers = {} } = record
    return records.push({ offset: records.length, timestamp, key, value, headers }) - 1
  }

  /** Lets others run, a random number of times. */
  async turns(most: number): Promise<void> {
    for (let left = Math.floor(this.#random() * most); left > 0; left--) await new Promise(setImmediate)
  }

  producer(): LogProducer {
    return {
      append: async (topic, perPartition) => {
        const [partition, [record]] = [...perPartition][0]! as [number, [LogRecord]]
        await this.turns(4)
        const fate = topic === HITS_ENRICHED.name ? this.#random() : 1
        if (fate < 0.1) return this.#doubt(() => {})
        if (fate < 0.2) return this.#doubt(() => void this.write(topic, record))
        if (fate < 0.3) return this.#doubt(() => void this.turns(12).then(() => this.write(topic, record)))
        const offset = this.write(topic, record)
        await this.turns(4)
        return new Map([[partition, offset]])
      },
      close: async () => {},
    }
  }

  reader(): LogReader {
    const { turns, records } = { turns: () => this.turns(3), records: (topic: string) => this.records(topic) }
    return {
      async *read(topic, _partition, from, to) {
        for (const record of records(topic).slice(from, to)) {
          await turns()
          yield [record]
        }
      },
      follow: () => {
        throw new Error('not in this log')
      },
      close: async () => {},
    }
  }

  /** Commits are left to the test: `committed` is what it says. */
  admin(committed: () => { offset: number; metadata: string } | null): LogAdmin {
    const ends = async (topic: string) => new Map([[0, this.records(topic).length]])
    return {
      ensureTopics: async () => {},
      partitions: async () => 1,
      committed: async (_group, topic) => {
        const position = topic === HITS_RAW.name ? committed() : null
        return new Map(position === null ? [] : [[0, position]])
      },
      lowOffsets: async () => new Map([[0, 0]]),
      endOffsets: ends,
      offsetsForTime: ends,
      close: async () => {},
    }
  }

  #doubt(write: () => void): never {
    this.doubts++
    write()
    throw new AppendInDoubt('nobody knows')
  }
}
