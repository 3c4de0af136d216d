import { setImmediate } from 'node:timers/promises'
import type { Following, LogReader, StoredRecord } from '../event-log.ts'
import { Follower } from './follower.ts'
import { decodeRecords } from './record.ts'
import { TopicScan } from './topic-scan.ts'
import type { WriterClient } from './writer-client.ts'

/** Much less than the feed of all partitions reads: most of what stands there is not of the one that is wanted. */
const CHUNK_BYTES = 1 << 17

/** Reads without a group. */
export class EmbeddedReader implements LogReader {
  readonly #client: WriterClient
  readonly #followers = new Set<Follower>()
  #closed = false

  constructor(client: WriterClient) {
    this.#client = client
  }

  async *read(topic: string, partition: number, from: number, to: number): AsyncGenerator<StoredRecord[]> {
    const view = await this.#client.topic(topic)
    if (!(partition >= 0 && partition < view.spec.partitions)) throw new Error(`${topic} has no partition ${partition}`)
    const until = Math.min(to, view.positions.end(partition))
    const wanted = (each: number): boolean => each === partition
    const scan = new TopicScan(view, this.#client)
    let next = from
    let place: { position: number; generation: number } | null = null
    try {
      while (next < until) {
        if (this.#closed) throw new Error('the reader is closed')
        if (place === null) {
          const { positions, generation } = await scan.locate([[partition, next]])
          place = { position: positions[0]!, generation }
        }
        const found = scan.read(place.position, place.generation, wanted, CHUNK_BYTES)
        if (found === 'moved') {
          place = null
          continue
        }
        // The end, where compaction took the last records; or word of a new segment is on its way.
        if (found === 'later') {
          if (place.position >= view.positions.durable) return
          await this.#client.ask('ping', {})
          continue
        }
        place.position = found.next
        const { frames, bytes } = found.chunk
        const records = frames.flatMap((frame) => decodeRecords(bytes, frame.at, frame, next, until))
        if (frames.length > 0) next = Math.max(next, frames.at(-1)!.lastOffset + 1)
        if (records.length > 0) yield records
        else await setImmediate()
      }
    } finally {
      scan.close()
    }
  }

  follow(
    topic: string,
    onRecords: (partition: number, records: readonly StoredRecord[]) => void | Promise<void>,
  ): Following {
    const follower = new Follower(this.#client, topic, onRecords)
    this.#followers.add(follower)
    return follower
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#followers].map((follower) => follower.stop()))
  }
}
