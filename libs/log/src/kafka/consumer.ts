import type { Kafka } from 'kafkajs'
import {
  type Assignment,
  CommitRefused,
  type ConsumerHandlers,
  type LogConsumer,
  type PartitionPosition,
  PositionLost,
} from '../event-log.ts'
import { fetchCommitted, fetchOffsets } from './admin.ts'
import { type KafkaLogger, knowTopics, recoverCluster } from './client.ts'
import { Fetcher } from './fetcher.ts'
import { type Generation, Membership, withResolvers } from './membership.ts'
import { PartitionFlow } from './partition-flow.ts'
import { untilAnswered } from './retry.ts'
import type { TopicNames } from './topics.ts'
import { Watchdog } from './watchdog.ts'

const MAX_METADATA = 4096
const FETCH = { maxWaitMs: 250, maxBytes: 8 << 20, partitionBytes: 512 << 10 }

export interface KafkaConsumerOptions {
  readonly kafka: Kafka
  readonly group: string
  readonly names: TopicNames
  readonly logger: KafkaLogger
  /** A member that is silent for this long loses its partitions, milliseconds. */
  readonly sessionTimeoutMs: number
  /** How often the coordinator is asked whether the group rebalances, milliseconds. */
  readonly heartbeatMs: number
  /** Time between two looks of the watchdogs, milliseconds. */
  readonly lookMs?: number
  /** The consumer reads no more: its process should end. */
  readonly onFailure: (error: Error) => void
}

/** The work of one generation of the group. */
interface Tenure {
  readonly generation: Generation
  readonly flows: Map<string, PartitionFlow>
  /** The handlers know of it: they are told when it is over. */
  isAnnounced: boolean
}

const keyOf = (topic: string, partition: number): string => `${topic}/${partition}`

/** A member of a consumer group. Joins by `Membership`, reads by `Fetcher`, delivers partition by partition. */
export class KafkaConsumer implements LogConsumer {
  readonly #options: KafkaConsumerOptions
  readonly #membership: Membership
  readonly #fetcher: Fetcher
  readonly #firstAssignment = withResolvers<void>()
  #handlers: ConsumerHandlers | null = null
  #topics: readonly string[] = []
  #tenure: Tenure | null = null
  /** Calls of onAssigned, one after another, and the last call of onLost, which the next onAssigned waits for. */
  #turn: Promise<void> = Promise.resolve()
  #lost: Promise<void> = Promise.resolve()
  #commits: Promise<unknown> = Promise.resolve()
  /** The assignment that the handlers have not heard of, or not taken, so far. */
  #arriving: { readonly generation: Generation; readonly at: number } | null = null
  #assignments = 0
  readonly #watchdogs: readonly Watchdog[]
  #state: 'new' | 'running' | 'failed' | 'closed' = 'new'
  #isStarted = false

  constructor(options: KafkaConsumerOptions) {
    this.#options = options
    this.#membership = new Membership({
      ...options,
      onJoined: (generation) => this.#joined(generation),
      onOver: (generation) => this.#over(generation),
      onDead: (error) => this.#fail(error),
    })
    this.#fetcher = new Fetcher({
      ...FETCH,
      cluster: this.#membership.cluster,
      logger: options.logger,
      demands: () => this.#flows().flatMap((flow) => flow.demand ?? []),
      deliver: (fetched) => {
        const flow = this.#flows().find(
          ({ fullTopic, partition }) => fullTopic === fetched.demand.topic && partition === fetched.demand.partition,
        )
        flow?.accept(fetched)
        if (flow) this.#deliver(flow)
      },
      onOutOfRange: (topic, partition) => this.#onOutOfRange(topic, partition),
    })
    this.#firstAssignment.promise.catch(() => {})
    const onStuck = (progress: string): void => this.#fail(new Error(`${options.group} stands still: ${progress}`))
    this.#watchdogs = [
      new Watchdog({
        progress: () => `the client's sign of life ${this.#membership.signsOfLife} was the last`,
        onStuck,
      }),
      new Watchdog({ progress: () => this.#arrival(), onStuck }),
    ]
  }

  /** @throws PositionLost when a committed position is outside of what the log holds */
  async run(topics: readonly string[], handlers: ConsumerHandlers): Promise<void> {
    // the client ignores a second run (guard 10)
    if (this.#state !== 'new') throw new Error('a consumer runs once')
    this.#state = 'running'
    this.#handlers = handlers
    this.#topics = topics
    try {
      await this.#membership.join(topics)
      for (const watchdog of this.#watchdogs) watchdog.start(this.#options.lookMs)
      await this.#firstAssignment.promise
    } catch (error) {
      if (this.#state === 'running') this.#state = 'failed'
      this.#unwatch()
      await this.#membership.leave()
      throw error
    }
  }

  seek(topic: string, partition: number, offset: number): void {
    checkOffset(offset)
    this.#flow(topic, partition)?.seek(offset)
    this.#go()
  }

  pause(topic: string, partitions: readonly number[]): void {
    this.#setPaused(topic, partitions, true)
  }

  resume(topic: string, partitions: readonly number[]): void {
    this.#setPaused(topic, partitions, false)
    this.#go()
  }

  async commit(positions: readonly PartitionPosition[]): Promise<void> {
    for (const { offset, metadata } of positions) {
      checkOffset(offset)
      if (metadata.length > MAX_METADATA) throw new RangeError(`metadata is longer than ${MAX_METADATA} characters`)
    }
    const tenure = this.#tenure
    if (this.#state !== 'running' || !tenure?.generation.isValid) throw new CommitRefused('the partitions are not ours')
    for (const { topic, partition } of positions) {
      if (!tenure.flows.has(keyOf(topic, partition))) throw new CommitRefused(`${topic}/${partition} is not ours`)
    }
    const copies = positions.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata }))
    // One at a time: the repetition of a commit must not land after a newer one.
    const committed = this.#commits.then(() => this.#membership.commit(tenure.generation, copies))
    this.#commits = committed.catch(() => {})
    await committed
  }

  /** Does not wait for batches that are with a handler: it may be called from one. */
  async close(): Promise<void> {
    if (this.#state === 'closed') return
    const wasStarted = this.#state !== 'new'
    this.#state = 'closed'
    this.#firstAssignment.reject(new Error('the consumer was closed'))
    this.#unwatch()
    this.#fetcher.close()
    if (wasStarted) await this.#membership.leave()
    await this.#lost
  }

  #flows(): PartitionFlow[] {
    return this.#tenure ? [...this.#tenure.flows.values()] : []
  }

  #setPaused(topic: string, partitions: readonly number[], isPaused: boolean): void {
    for (const partition of partitions) {
      const flow = this.#flow(topic, partition)
      if (flow) flow.isPaused = isPaused
    }
  }

  /** Undefined for a partition that was lost: its worker cannot have heard of it yet. */
  #flow(topic: string, partition: number): PartitionFlow | undefined {
    return this.#tenure?.flows.get(keyOf(topic, partition))
  }

  #unwatch(): void {
    for (const watchdog of this.#watchdogs) watchdog.stop()
  }

  #arrival(): string | null {
    return this.#arriving?.generation.isValid ? `assignment ${this.#arriving.at} is not taken up` : null
  }

  /** The client has joined. The handlers hear of it when they are done with what was before. */
  #joined(generation: Generation): void {
    const arriving = { generation, at: ++this.#assignments }
    this.#arriving = arriving
    this.#turn = this.#turn
      .then(() => this.#lost)
      .then(() => this.#assign(generation))
      .then(() => {
        if (this.#arriving === arriving) this.#arriving = null
      })
      .catch((error: Error) => this.#fail(error))
  }

  async #assign(generation: Generation): Promise<void> {
    if (!generation.isValid || this.#state !== 'running') return
    // Guard 6: metadata and positions are asked for once after each join, before anything is delivered.
    const assignments = await this.#describe(generation).catch((error: unknown) => {
      // The brokers went away: there will be another generation.
      if (generation.isValid || error instanceof PositionLost) throw error
      return null
    })
    if (assignments === null || !generation.isValid || this.#state !== 'running') return
    const seesHoles = this.#handlers!.seesHoles === true
    for (const assignment of assignments) checkCommitted(this.#options.group, assignment, seesHoles)
    const flows = new Map(assignments.map((a) => [keyOf(a.topic, a.partition), this.#flowOf(a)]))
    this.#tenure = { generation, flows, isAnnounced: flows.size > 0 }
    if (flows.size > 0) await this.#handlers!.onAssigned(assignments)
    if (generation.isValid) for (const flow of flows.values()) flow.isOpen = true
    this.#isStarted = true
    this.#firstAssignment.resolve()
    this.#fetcher.pump()
  }

  #flowOf({ topic, partition, committed, low }: Assignment): PartitionFlow {
    const start = Math.max(committed?.offset ?? low, low)
    return new PartitionFlow(topic, this.#options.names.full(topic), partition, start, committed !== null)
  }

  async #describe({ partitions }: Generation): Promise<Assignment[]> {
    const { names, group } = this.#options
    const { cluster } = this.#membership
    const committed = await fetchCommitted(cluster, group, partitions, names)
    const assignments: Assignment[] = []
    for (const [topic, list] of partitions) {
      const { low, end } = await untilAnswered(
        `offsets of ${topic}`,
        async () => {
          await knowTopics(cluster, this.#topics.map(names.full))
          return {
            low: await fetchOffsets(cluster, names.full(topic), list, { fromBeginning: true }),
            end: await fetchOffsets(cluster, names.full(topic), list, { fromBeginning: false }),
          }
        },
        () => recoverCluster(cluster),
      )
      for (const partition of list) {
        const position = committed.get(topic)?.get(partition) ?? null
        assignments.push({ topic, partition, committed: position, low: low.get(partition)!, end: end.get(partition)! })
      }
    }
    return assignments
  }

  /** At once: nothing more is delivered and no commit passes. A restore that runs in onAssigned is told meanwhile. */
  #over(generation: Generation): void {
    const tenure = this.#tenure
    if (tenure?.generation !== generation) return
    this.#tenure = null
    for (const flow of tenure.flows.values()) flow.isOpen = false
    if (!tenure.isAnnounced) return
    const lost = [...tenure.flows.values()].map(({ topic, partition }) => ({ topic, partition }))
    this.#lost = this.#handlers!.onLost(lost).catch((error: Error) => this.#fail(error))
  }

  /** After the caller has finished what it is doing. */
  #go(): void {
    queueMicrotask(() => {
      for (const flow of this.#flows()) this.#deliver(flow)
      this.#fetcher.pump()
    })
  }

  #deliver(flow: PartitionFlow): void {
    if (this.#state !== 'running') return
    const records = flow.take()
    if (!records) return
    flow.isHandling = true
    this.#fetcher.pump()
    this.#handlers!.onBatch(flow.topic, flow.partition, records).then(
      () => {
        flow.isHandling = false
        this.#deliver(flow)
      },
      (error: Error) => this.#fail(error),
    )
  }

  /**
   * Guard 5: the position has left the log while we were reading. Only where nothing was committed, sought or read yet is
   * there nothing to lose: retention took the oldest records between the question and the first fetch.
   */
  #onOutOfRange(fullTopic: string, partition: number): void {
    const flow = this.#flows().find((each) => each.fullTopic === fullTopic && each.partition === partition)
    if (!flow) return
    const { isPinned, next, topic } = flow
    flow.isOpen = false
    if (isPinned) {
      this.#fail(
        new PositionLost(
          `${this.#options.group} is at offset ${next} of ${topic}/${partition}, which the log does not hold`,
        ),
      )
      return
    }
    this.#restartAtLow(flow).catch((error: Error) => this.#fail(error))
  }

  async #restartAtLow(flow: PartitionFlow): Promise<void> {
    const { cluster } = this.#membership
    const low = await untilAnswered(
      `the oldest offset of ${flow.topic}`,
      () => fetchOffsets(cluster, flow.fullTopic, [flow.partition], { fromBeginning: true }),
      () => recoverCluster(cluster),
    )
    if (!this.#flows().includes(flow)) return
    if (!flow.isPinned) {
      flow.seek(low.get(flow.partition)!)
      flow.isPinned = false
    }
    flow.isOpen = true
    this.#go()
  }

  /** Work that failed is not done: to go on would lose records. The partitions go to others. */
  #fail(error: Error): void {
    if (this.#state !== 'running') return
    this.#state = 'failed'
    this.#unwatch()
    this.#fetcher.close()
    this.#firstAssignment.reject(error)
    this.#membership.leave().finally(() => {
      if (this.#isStarted) this.#options.onFailure(error) // else run() rejects with it
    })
  }
}

function checkCommitted(
  group: string,
  { topic, partition, committed, low, end }: Assignment,
  seesHoles: boolean,
): void {
  if (committed !== null && ((committed.offset < low && !seesHoles) || committed.offset > end))
    throw new PositionLost(
      `${group} is at offset ${committed.offset} of ${topic}/${partition}, which holds ${low} to ${end}`,
    )
}

function checkOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no offset`)
}
