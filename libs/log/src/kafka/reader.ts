import type { Cluster, Kafka } from 'kafkajs'
import type { Following, LogReader, StoredRecord } from '../event-log.ts'
import { fetchOffsets } from './admin.ts'
import { type KafkaLogger, knowTopics, openCluster, recoverCluster } from './client.ts'
import { outOfRange } from './errors.ts'
import { byLeader, type Demand, Fetcher, type FetchLimits, fetchFrom } from './fetcher.ts'
import { Follower, type OnRecords } from './follower.ts'
import { untilAnswered } from './retry.ts'
import type { TopicNames } from './topics.ts'

/** Offsets that are read are known to exist: the broker need not wait. */
const READ: FetchLimits = { maxWaitMs: 50, maxBytes: 1 << 20, partitionBytes: 1 << 20 }
const FOLLOW: FetchLimits = { maxWaitMs: 500, maxBytes: 4 << 20, partitionBytes: 1 << 20 }
const BATCH_BYTES = 1 << 20

export interface KafkaReaderOptions {
  readonly kafka: Kafka
  /** Shared with others; for what is answered at once. */
  readonly cluster: Cluster
  readonly names: TopicNames
  readonly logger: KafkaLogger
}

/**
 * Reads by the cluster handle and without a group: nothing joins, nothing is committed, nothing is left on the brokers.
 */
export class KafkaReader implements LogReader {
  readonly #options: KafkaReaderOptions
  /** Followers wait at the broker, which answers a connection's requests in order: they have connections of their own. */
  #followCluster: Cluster | null = null
  #fetcher: Fetcher | null = null
  readonly #followers = new Set<Follower>()
  #closed = false

  constructor(options: KafkaReaderOptions) {
    this.#options = options
  }

  async *read(topic: string, partition: number, from: number, to: number): AsyncGenerator<StoredRecord[]> {
    const name = this.#options.names.full(topic)
    const { low, end } = await this.#range(topic, partition)
    const until = Math.min(to, end)
    let next = Math.max(from, low)
    while (next < until) {
      if (this.#closed) throw new Error('the reader is closed')
      const found = await this.#fetch(topic, { topic: name, partition, offset: next })
      next = found.next
      yield* inBatches(found.records, until)
    }
  }

  follow(topic: string, onRecords: OnRecords): Following {
    const follower: Follower = new Follower({
      topic,
      fullTopic: this.#options.names.full(topic),
      onRecords,
      start: () => this.#rangesToFollow(topic),
      onReady: () => this.#fetcher?.pump(),
      onEnd: () => this.#followers.delete(follower),
    })
    this.#followers.add(follower)
    return follower
  }

  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#followers].map((follower) => follower.stop()))
    this.#fetcher?.close()
    await this.#followCluster?.disconnect().catch(() => {})
  }

  async #range(topic: string, partition: number): Promise<{ low: number; end: number }> {
    const { cluster, names } = this.#options
    const name = names.full(topic)
    return await untilAnswered(
      `offsets of ${topic}`,
      async () => {
        await knowTopics(cluster, [name])
        const count = cluster.findTopicPartitionMetadata(name).length
        if (!(partition >= 0 && partition < count)) throw new RangeError(`${topic} has no partition ${partition}`)
        return await lowAndEnd(cluster, name, partition)
      },
      () => recoverCluster(cluster),
    )
  }

  async #fetch(topic: string, demand: Demand): Promise<{ records: readonly StoredRecord[]; next: number }> {
    const { cluster } = this.#options
    return await untilAnswered(
      `reading ${topic}/${demand.partition}`,
      async () => {
        const [leader] = byLeader(cluster, [demand])
        if (!leader) throw new Error('the partition has no leader')
        try {
          const [found] = await fetchFrom(cluster, leader[0], [demand], READ)
          return found ?? { records: [], next: demand.offset }
        } catch (error) {
          if (!outOfRange(error)) throw error
          // retention took it meanwhile: records that no longer exist are not in the answer
          return { records: [], next: (await lowAndEnd(cluster, demand.topic, demand.partition)).low }
        }
      },
      () => recoverCluster(cluster),
    )
  }

  /** Oldest offsets and ends of all partitions, by the connections of the followers. */
  async #rangesToFollow(topic: string): Promise<{ lows: Map<number, number>; ends: Map<number, number> }> {
    if (this.#closed) throw new Error('the reader is closed')
    this.#followCluster ??= openCluster(this.#options.kafka)
    const cluster = this.#followCluster
    this.#fetcher ??= this.#startFetcher(cluster)
    const name = this.#options.names.full(topic)
    return await untilAnswered(
      `offsets of ${topic}`,
      async () => {
        await knowTopics(cluster, [name])
        const partitions = cluster.findTopicPartitionMetadata(name).map(({ partitionId }) => partitionId)
        return {
          lows: await fetchOffsets(cluster, name, partitions, { fromBeginning: true }),
          ends: await fetchOffsets(cluster, name, partitions, { fromBeginning: false }),
        }
      },
      () => recoverCluster(cluster),
    )
  }

  #startFetcher(cluster: Cluster): Fetcher {
    return new Fetcher({
      ...FOLLOW,
      cluster,
      logger: this.#options.logger,
      demands: () => this.#demands(),
      deliver: (fetched) => {
        for (const follower of this.#followers) follower.accept(fetched)
      },
      onOutOfRange: (topic) => {
        for (const follower of this.#followers) if (follower.fullTopic === topic) void follower.restart()
      },
    })
  }

  /** Two followers of one topic at different offsets take turns: a request names a partition once. */
  #demands(): Demand[] {
    const demands = new Map<string, Demand>()
    for (const follower of this.#followers) {
      for (const demand of follower.demands()) {
        const key = `${demand.topic}/${demand.partition}`
        const other = demands.get(key)
        if (!other || demand.offset < other.offset) demands.set(key, demand)
      }
    }
    return [...demands.values()]
  }
}

async function lowAndEnd(cluster: Cluster, name: string, partition: number): Promise<{ low: number; end: number }> {
  const low = await fetchOffsets(cluster, name, [partition], { fromBeginning: true })
  const end = await fetchOffsets(cluster, name, [partition], { fromBeginning: false })
  return { low: low.get(partition)!, end: end.get(partition)! }
}

/** Records below `until`, about 1 MB at a time: compressed bytes were counted when they were fetched. */
function* inBatches(records: readonly StoredRecord[], until: number): Generator<StoredRecord[]> {
  let batch: StoredRecord[] = []
  let bytes = 0
  for (const record of records) {
    if (record.offset >= until) break
    batch.push(record)
    bytes += (record.value?.length ?? 0) + (record.key?.length ?? 0)
    if (bytes < BATCH_BYTES) continue
    yield batch
    batch = []
    bytes = 0
  }
  if (batch.length > 0) yield batch
}
