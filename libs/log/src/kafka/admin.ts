import type { TopicSpec } from '@millrace/shared'
import type { Admin, Cluster, Kafka } from 'kafkajs'
import kafkajs from 'kafkajs'
import { type LogAdmin, type Position, PositionLost } from '../event-log.ts'
import { knowTopics, recoverCluster } from './client.ts'
import { isUnknownTopic } from './errors.ts'
import { untilAnswered } from './retry.ts'
import { partitionsOf, recordLimit, type TopicNames, topicConfig } from './topics.ts'

/** What a writer must know of a topic. */
export interface TopicFacts {
  readonly partitions: number
  readonly maxRecordBytes: number
}

/** A question about offsets: the oldest, the end, or the first at or after a time. */
type Moment = { fromBeginning: boolean } | { fromTimestamp: number }

/** Offset of a group whose position was overwritten by a client that met OFFSET_OUT_OF_RANGE (guard 5). */
const RESET_TO_EARLIEST = -2
const NEVER_COMMITTED = -1

/** Questions about topics and groups. All but the making of topics goes over one shared cluster handle. */
export class KafkaAdmin implements LogAdmin {
  readonly #kafka: Kafka
  readonly #cluster: Cluster
  readonly #names: TopicNames

  constructor(kafka: Kafka, cluster: Cluster, names: TopicNames) {
    this.#kafka = kafka
    this.#cluster = cluster
    this.#names = names
  }

  async ensureTopics(specs: readonly TopicSpec[], hitPartitions: number): Promise<void> {
    await this.#withAdmin(async (admin) => {
      const { brokers } = await admin.describeCluster()
      const existing = new Set(await admin.listTopics())
      const topics = specs
        .filter((spec) => !existing.has(this.#names.full(spec.name)))
        .map((spec) => topicConfig(this.#names.full(spec.name), spec, hitPartitions, brokers.length))
      // one by one: another process may be making them, and a refusal of one must not hide what became of the others
      for (const topic of topics) await admin.createTopics({ topics: [topic], waitForLeaders: true })
    })
    for (const spec of specs) {
      const wanted = partitionsOf(spec, hitPartitions)
      const found = await this.#ask(`the partitions of ${spec.name}`, () => this.#partitionsOnceKnown(spec.name))
      if (found !== wanted)
        throw new Error(`topic ${spec.name} has ${found} partitions, not ${wanted}; it is never changed in place`)
    }
  }

  async partitions(topic: string): Promise<number> {
    return await this.#ask(`the partitions of ${topic}`, () => this.#partitions(topic))
  }

  async committed(group: string, topic: string): Promise<Map<number, Position>> {
    const partitions = await this.#ask(`the partitions of ${topic}`, () => this.#partitions(topic))
    const asked = new Map([[topic, Array.from({ length: partitions }, (_, partition) => partition)]])
    const positions = await fetchCommitted(this.#cluster, this.#names.full(group), asked, this.#names)
    return positions.get(topic) ?? new Map()
  }

  async lowOffsets(topic: string): Promise<Map<number, number>> {
    return await this.#offsets(topic, { fromBeginning: true })
  }

  async endOffsets(topic: string): Promise<Map<number, number>> {
    return await this.#offsets(topic, { fromBeginning: false })
  }

  async offsetsForTime(topic: string, timestampMs: number): Promise<Map<number, number>> {
    // the end first: an append between the two questions must not make the answer skip it
    const ends = await this.endOffsets(topic)
    const offsets = await this.#offsets(topic, { fromTimestamp: Math.max(0, timestampMs) })
    return new Map([...ends].map(([partition, end]) => [partition, atLeastZero(offsets.get(partition)) ?? end]))
  }

  /** Number of partitions and largest record of a topic, as the cluster has them; null when it does not exist. */
  async facts(topic: string): Promise<TopicFacts | null> {
    const name = this.#names.full(topic)
    return await this.#withAdmin(async (admin) => {
      // a topic that another process has just made may not be known to every broker yet
      for (let tries = 0; !(await admin.listTopics()).includes(name); tries++) {
        if (tries === 5) return null
        await new Promise((resolve) => setTimeout(resolve, 100))
      }
      const { resources } = await admin.describeConfigs({
        includeSynonyms: false,
        resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name, configNames: ['max.message.bytes'] }],
      })
      const limit = Number(resources[0]?.configEntries[0]?.configValue)
      return { partitions: await this.#partitionsOnceKnown(topic), maxRecordBytes: recordLimit(limit) }
    })
  }

  /** Connections are shared with the log's other parts, which close them. */
  async close(): Promise<void> {}

  async #partitions(topic: string): Promise<number> {
    const name = this.#names.full(topic)
    await knowTopics(this.#cluster, [name])
    return this.#cluster.findTopicPartitionMetadata(name).length
  }

  /** For topics that exist: a broker that does not know it yet is asked again. */
  async #partitionsOnceKnown(topic: string): Promise<number> {
    try {
      const found = await this.#partitions(topic)
      if (found > 0) return found
    } catch (error) {
      if (!isUnknownTopic(error)) throw error
    }
    throw new Error(`topic ${topic} is not known to all brokers yet`)
  }

  async #offsets(topic: string, moment: Moment): Promise<Map<number, number>> {
    return await this.#ask(`offsets of ${topic}`, async () => {
      const count = await this.#partitions(topic)
      const partitions = Array.from({ length: count }, (_, partition) => partition)
      return await fetchOffsets(this.#cluster, this.#names.full(topic), partitions, moment)
    })
  }

  async #ask<T>(what: string, ask: () => Promise<T>): Promise<T> {
    return await untilAnswered(what, ask, () => recoverCluster(this.#cluster))
  }

  /** A client for the few requests that only it offers, connected for as long as it is used: connections are not free (guard 12). */
  async #withAdmin<T>(work: (admin: Admin) => Promise<T>): Promise<T> {
    const admin = this.#kafka.admin()
    try {
      await admin.connect()
      return await work(admin)
    } finally {
      await admin.disconnect().catch(() => {})
    }
  }
}

const atLeastZero = (offset: number | undefined): number | undefined =>
  offset !== undefined && offset >= 0 ? offset : undefined

/** Offsets of partitions of a topic (full name). The leaders must be known. */
export async function fetchOffsets(
  cluster: Cluster,
  topic: string,
  partitions: readonly number[],
  moment: Moment,
): Promise<Map<number, number>> {
  const asked = { topic, partitions: partitions.map((partition) => ({ partition })), ...moment }
  const answers = await cluster.fetchTopicsOffset([asked as Parameters<Cluster['fetchTopicsOffset']>[0][number]])
  const offsets = new Map(answers[0]?.partitions.map(({ partition, offset }) => [partition, Number(offset)]))
  // a partition that is missing in the metadata is left out of the answer
  for (const partition of partitions) {
    if (!offsets.has(partition)) throw new Error(`no offset of ${topic}/${partition} was answered`)
  }
  return offsets
}

/**
 * Committed positions of a group, by bare topic and partition. Asked of the coordinator itself: the client gives committed
 * metadata to nobody, and its own `resolveOffsets: true` would write (guard 6).
 * @throws PositionLost when a position was overwritten with "earliest" (guard 5): it is not a new group
 */
export async function fetchCommitted(
  cluster: Cluster,
  group: string,
  asked: ReadonlyMap<string, readonly number[]>,
  names: TopicNames,
): Promise<Map<string, Map<number, Position>>> {
  const request = [...asked].map(([topic, partitions]) => ({
    topic: names.full(topic),
    partitions: partitions.map((partition) => ({ partition })),
  }))
  const { responses } = await untilAnswered(
    `the commits of ${group}`,
    async () => {
      if (!cluster.isConnected()) await cluster.connect()
      await cluster.refreshMetadataIfNecessary()
      const coordinator = await cluster.findGroupCoordinator({ groupId: group })
      return await coordinator.offsetFetch({ groupId: group, topics: request as never })
    },
    () => recoverCluster(cluster),
  )
  const found = new Map(responses.map((response) => [response.topic, response.partitions]))
  return new Map(
    [...asked.keys()].map((topic) => [topic, positionsOf(group, topic, found.get(names.full(topic)) ?? [])]),
  )
}

function positionsOf(
  group: string,
  topic: string,
  answered: readonly { partition: number; offset: string; metadata?: string | null }[],
): Map<number, Position> {
  const positions = new Map<number, Position>()
  for (const { partition, offset, metadata } of answered) {
    if (Number(offset) === RESET_TO_EARLIEST)
      throw new PositionLost(`the position of ${group} in ${topic}/${partition} was overwritten`)
    if (Number(offset) !== NEVER_COMMITTED)
      positions.set(partition, { offset: Number(offset), metadata: metadata ?? '' })
  }
  return positions
}
