import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker, Cluster, KafkaMessage } from 'kafkajs'
import type { StoredRecord } from '../event-log.ts'
import { type KafkaLogger, recoverCluster } from './client.ts'
import { outOfRange, reasonOf } from './errors.ts'

/** A partition (topic by its full name) and the offset to go on with. */
export interface Demand {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** What one request found of one partition. */
export interface Fetched {
  readonly demand: Demand
  readonly records: readonly StoredRecord[]
  /** Where to go on. Above the last record where compaction took the ones behind it. */
  readonly next: number
}

export interface FetchLimits {
  /** How long the broker may wait for a record to come. */
  readonly maxWaitMs: number
  /** Of one answer, and of one partition in it; a larger first batch is delivered all the same. */
  readonly maxBytes: number
  readonly partitionBytes: number
}

interface FetchAnswer {
  readonly responses: readonly {
    readonly topicName: string
    readonly partitions: readonly { readonly partition: number; readonly messages: readonly FetchedMessage[] }[]
  }[]
}
type FetchedMessage = KafkaMessage & { readonly isControlRecord?: boolean }

const READ_UNCOMMITTED = 0 // nothing here writes transactions

/**
 * One fetch from one broker. Through the cluster handle and not through the client's consumer: that one overwrites the
 * group's commit when an offset is out of range (guard 5), dies of an error in a handler (guard 9), lets one slow
 * partition hold back the others (guard 11) and cannot read without a group. Here an offset out of range is an error.
 */
export async function fetchFrom(
  cluster: Cluster,
  nodeId: string,
  demands: readonly Demand[],
  { maxWaitMs, maxBytes, partitionBytes }: FetchLimits,
): Promise<Fetched[]> {
  const broker = await cluster.findBroker({ nodeId })
  const byKey = new Map<string, Demand>()
  const topics = new Map<string, { partition: number; fetchOffset: string; maxBytes: number }[]>()
  for (const demand of demands) {
    byKey.set(`${demand.topic}/${demand.partition}`, demand)
    const partitions = topics.get(demand.topic) ?? []
    partitions.push({ partition: demand.partition, fetchOffset: String(demand.offset), maxBytes: partitionBytes })
    topics.set(demand.topic, partitions)
  }
  const { responses } = await inTurn(
    broker,
    () =>
      broker.fetch({
        isolationLevel: READ_UNCOMMITTED,
        maxWaitTime: maxWaitMs,
        minBytes: 1,
        maxBytes,
        topics: [...topics].map(([topic, partitions]) => ({ topic, partitions })),
      }) as Promise<FetchAnswer>,
  )
  return responses.flatMap(({ topicName, partitions }) =>
    partitions
      .filter(({ messages }) => messages.length > 0)
      .map(({ partition, messages }) => toFetched(byKey.get(`${topicName}/${partition}`)!, messages)),
  )
}

const turns = new WeakMap<Broker, Promise<unknown>>()

/**
 * One fetch at a time over a broker's connection, which answers in order anyway: two that find it unconnected would each
 * open a socket, and the client would keep only one of them.
 */
async function inTurn<T>(broker: Broker, fetch: () => Promise<T>): Promise<T> {
  const turn = (turns.get(broker) ?? Promise.resolve()).then(fetch)
  turns.set(
    broker,
    turn.catch(() => {}),
  )
  return await turn
}

/** A broker answers with whole batches: records before the asked offset are left out. */
function toFetched(demand: Demand, messages: readonly FetchedMessage[]): Fetched {
  const records: StoredRecord[] = []
  // A batch whose last records were compacted away covers offsets that it no longer holds.
  let next = demand.offset + 1
  for (const message of messages) {
    const offset = Number(message.offset)
    if (offset < demand.offset) continue
    next = offset + 1
    if (!message.isControlRecord) records.push(toStored(offset, message))
  }
  return { demand, records, next }
}

const NO_HEADERS: Readonly<Record<string, Buffer>> = Object.freeze({})

function toStored(offset: number, { timestamp, key, value, headers }: FetchedMessage): StoredRecord {
  return { offset, timestamp: Number(timestamp), key, value, headers: headers ? toHeaders(headers) : NO_HEADERS }
}

function toHeaders(headers: NonNullable<FetchedMessage['headers']>): Readonly<Record<string, Buffer>> {
  let found: Record<string, Buffer> | null = null
  for (const name in headers) {
    const given = headers[name]
    const value = Array.isArray(given) ? given.at(-1) : given
    if (value === undefined) continue
    found ??= {}
    found[name] = typeof value === 'string' ? Buffer.from(value) : (value as Buffer)
  }
  return found ?? NO_HEADERS
}

/** Partitions by the broker that leads them; those without a leader now are left out. */
export function byLeader(cluster: Cluster, demands: Iterable<Demand>): Map<string, Demand[]> {
  const topics = new Map<string, Map<number, Demand>>()
  for (const demand of demands) {
    const partitions = topics.get(demand.topic) ?? new Map<number, Demand>()
    partitions.set(demand.partition, demand)
    topics.set(demand.topic, partitions)
  }
  const leaders = new Map<string, Demand[]>()
  for (const [topic, partitions] of topics) {
    for (const [leader, led] of Object.entries(cluster.findLeaderForPartitions(topic, [...partitions.keys()]))) {
      if (Number(leader) < 0) continue
      const list = leaders.get(leader) ?? []
      for (const partition of led) list.push(partitions.get(partition)!)
      leaders.set(leader, list)
    }
  }
  return leaders
}

export interface FetcherOptions extends FetchLimits {
  readonly cluster: Cluster
  readonly logger: KafkaLogger
  /** Partitions that want records now. */
  readonly demands: () => Iterable<Demand>
  readonly deliver: (fetched: Fetched) => void
  /** The offset is not (any more) in the log. The partition must be out of `demands` until it is settled. */
  readonly onOutOfRange: (topic: string, partition: number) => void
}

const PAUSE_MS = 100

/** Keeps one request under way to every broker that leads a partition with a demand. Errors are repeated for ever. */
export class Fetcher {
  readonly #options: FetcherOptions
  readonly #busy = new Set<string>()
  #recovering = false
  #closed = false

  constructor(options: FetcherOptions) {
    this.#options = options
  }

  /** To be called when a demand has come up. */
  pump(): void {
    if (this.#closed || this.#recovering) return
    let leaders: Map<string, Demand[]>
    let demanded = 0
    try {
      const demands = [...this.#options.demands()]
      demanded = demands.length
      leaders = byLeader(this.#options.cluster, demands)
    } catch (error) {
      this.#recover(error)
      return
    }
    for (const [nodeId, demands] of leaders) {
      demanded -= demands.length
      if (this.#busy.has(nodeId)) continue
      this.#busy.add(nodeId)
      void this.#fetch(nodeId, demands)
    }
    if (demanded > 0) this.#recover(new Error('partitions without a leader'))
  }

  close(): void {
    this.#closed = true
  }

  async #fetch(nodeId: string, demands: readonly Demand[]): Promise<void> {
    const { cluster, deliver, onOutOfRange } = this.#options
    try {
      const found = await fetchFrom(cluster, nodeId, demands, this.#options)
      if (!this.#closed) for (const fetched of found) deliver(fetched)
    } catch (error) {
      if (this.#closed) return
      const lost = outOfRange(error)
      if (lost) onOutOfRange(lost.topic, lost.partition)
      else this.#recover(error)
    } finally {
      this.#busy.delete(nodeId)
    }
    this.pump()
  }

  /** A leader that moved or a connection that broke: everything is asked anew. */
  #recover(error: unknown): void {
    if (this.#closed || this.#recovering) return
    this.#recovering = true
    this.#options.logger.debug({ reason: reasonOf(error) }, 'reading is interrupted')
    void (async () => {
      await sleep(PAUSE_MS)
      if (!this.#closed) await recoverCluster(this.#options.cluster)
      this.#recovering = false
      this.pump()
    })()
  }
}
