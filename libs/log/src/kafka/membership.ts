import { setTimeout as sleep } from 'node:timers/promises'
import type { Broker, Cluster, Consumer, Kafka } from 'kafkajs'
import { CommitRefused, type PartitionPosition } from '../event-log.ts'
import { consumerWithCluster, recoverCluster } from './client.ts'
import { isFenced, isHopeless, mayPass, reasonOf } from './errors.ts'
import { untilAnswered } from './retry.ts'
import type { TopicNames } from './topics.ts'

/** Who we are for the group's coordinator while a generation lasts. */
interface Stamp {
  readonly memberId: string
  readonly groupGenerationId: number
}

/**
 * One assignment, from the join that gave it until we hear that it is over (guard 4): never valid again once it was not.
 */
export interface Generation {
  /** Bare topic -> partitions. */
  readonly partitions: ReadonlyMap<string, readonly number[]>
  readonly memberId: string
  readonly stamp: Promise<Stamp>
  isValid: boolean
}

export interface MembershipOptions {
  readonly kafka: Kafka
  readonly group: string
  readonly names: TopicNames
  readonly sessionTimeoutMs: number
  readonly heartbeatMs: number
  /** Both are called at once, before the client does anything else. */
  readonly onJoined: (generation: Generation) => void
  readonly onOver: (generation: Generation) => void
  /** The client gave up for a reason that stays (guard 9): nobody reads any more. */
  readonly onDead: (error: Error) => void
}

const PAUSE_MS = 100
/** The client's own mistakes (metadata that is not there just now) look like ours: so many in a row are believed. */
const PATIENCE = 3
/** So many heartbeats without a generation are no late ones: the client is a member and will not join. */
const STRAYS = 5
/** From the end of the client until it is run again. */
const AGAIN_MS = 500
const LEAVE_WITHIN_MS = 5_000

/**
 * Our place in a consumer group: joins, heartbeats, commits. The client does the joining and the heartbeats and nothing
 * else: all its partitions are paused, so that it never fetches.
 *
 * Commits go to the coordinator with the member id and the generation under which the partition was assigned. The
 * client's own ways to commit stamp whatever generation is current when they run: old work could be committed with a
 * new generation's stamp, and the broker does not check who owns a partition (guard 4). With our stamp it is the broker
 * that refuses the commit of an old generation.
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #consumer: Consumer
  #cluster!: Cluster
  #current: {
    readonly generation: Generation
    readonly stamp: PromiseWithResolvers<Stamp>
    heartbeats: number
  } | null = null
  #stamped: Generation | null = null
  #lastStamp: Stamp | null = null
  #lastMember: string | null = null
  #coordinator: Broker | null = null
  #signs = 0
  /** Crashes since the last join whose reason does not look as if it would pass. */
  #lasting = 0
  /** Heartbeats since the last generation was over. */
  #strays = 0
  #closed = false

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#consumer = consumerWithCluster(
      options.kafka,
      options.group,
      (cluster) => {
        this.#cluster = cluster
      },
      // The request to join is being written: from here on the old generation's partitions may go to others. Some ways
      // to a new join have no REBALANCING event.
      () => {
        this.#signs += 1
        this.#over()
      },
      options,
    )
  }

  get cluster(): Cluster {
    return this.#cluster
  }

  /** Grows with every heartbeat, join and crash: as long as it does, the client is at work. */
  get signsOfLife(): number {
    return this.#signs
  }

  async join(topics: readonly string[]): Promise<void> {
    const { events } = this.#consumer
    const full = new Map(topics.map((topic) => [this.#options.names.full(topic), topic]))
    this.#consumer.on(events.GROUP_JOIN, ({ payload }) => {
      this.#consumer.pause([...full.keys()].map((topic) => ({ topic })))
      this.#joined(payload.memberId, payload.memberAssignment, full)
    })
    this.#consumer.on(events.HEARTBEAT, ({ payload }) => {
      this.#signs += 1
      if (this.#current === null) this.#heardStray()
      const { memberId, groupGenerationId } = payload
      // The only event that names the generation. One of an earlier member or generation is not ours.
      if (this.#current?.generation.memberId !== memberId) return
      const isNew = groupGenerationId > this.#lastGenerationOf(memberId)
      // A member that joins again while the group stays as it is (its coordinator had moved) keeps its generation. Heartbeats
      // are sent one at a time: only the first one after a join can have been sent before it.
      if (this.#current.generation !== this.#stamped && !isNew && ++this.#current.heartbeats < 2) return
      this.#stamped = this.#current.generation
      this.#lastStamp = { memberId, groupGenerationId }
      this.#current.stamp.resolve(this.#lastStamp)
    })
    this.#consumer.on(events.REBALANCING, () => this.#over())
    this.#consumer.on(events.STOP, () => this.#over())
    this.#consumer.on(events.CRASH, ({ payload }) => {
      this.#signs += 1
      this.#over()
      this.#crashed(payload)
    })
    const subscribe = async (): Promise<void> => {
      await this.#consumer.connect()
      await this.#consumer.subscribe({ topics: [...full.keys()], fromBeginning: true })
    }
    await untilAnswered(`joining ${this.#options.group}`, subscribe, () => recoverCluster(this.#cluster))
    await this.#run()
  }

  /**
   * Guard 17: a join that fails because the coordinator is still loading leaves the client as it was before: it sends heartbeats
   * for the old generation, which the broker takes, and tells nobody. While it joins it sends none.
   */
  #heardStray(): void {
    if (this.#closed || ++this.#strays < STRAYS) return
    this.#strays = Number.NEGATIVE_INFINITY
    this.#consumer
      .stop()
      .then(() => this.#run())
      .then(() => {
        this.#strays = 0
      })
      .catch((error: Error) => this.#options.onDead(error))
  }

  /** The client starts its membership anew, by itself or, after `leave`, not at all. */
  async #run(): Promise<void> {
    if (this.#closed) return
    await this.#consumer.run({
      autoCommit: false,
      eachBatchAutoResolve: false,
      eachBatch: async () => {}, // never: everything is paused; unresolved it would only be fetched again
    })
  }

  /**
   * Guard 16: after some errors of a broker that does not answer (no coordinator is found, a request timed out) the client
   * gives up for good, after others it starts again. Both pass: it is run again.
   */
  #crashed({ error, restart }: { readonly error: Error; readonly restart: boolean }): void {
    // It starts again behind the back of a `disconnect` that was called while it crashed.
    if (this.#closed) setImmediate(() => this.#consumer.disconnect().catch(() => {}))
    else if (!restart && !mayPass(error) && ++this.#lasting === PATIENCE) this.#options.onDead(error)
    else {
      if (this.#lastMember) void this.#resign(this.#lastMember)
      if (!restart) setTimeout(() => this.#run().catch((failed: Error) => this.#options.onDead(failed)), AGAIN_MS)
    }
  }

  /** @throws CommitRefused when the generation is over, or ends before the broker has answered */
  async commit(generation: Generation, positions: readonly PartitionPosition[]): Promise<void> {
    const request = { groupId: this.#options.group, ...(await generation.stamp), topics: this.#toTopics(positions) }
    for (;;) {
      if (!generation.isValid) throw refused()
      try {
        this.#coordinator ??= await this.#cluster.findGroupCoordinator({ groupId: this.#options.group })
        if (!generation.isValid) throw refused()
        await this.#coordinator.offsetCommit(request as never)
        return
      } catch (error) {
        if (error instanceof CommitRefused) throw error
        this.#coordinator = null
        if (isFenced(error)) {
          if (this.#current?.generation === generation) this.#over()
          throw refused(error)
        }
        if (isHopeless(error)) throw new Error(`the commit failed: ${reasonOf(error)}`, { cause: error })
      }
      await sleep(PAUSE_MS)
    }
  }

  /** Leaves the group, so that its partitions need not wait for the session to end. */
  async leave(): Promise<void> {
    this.#closed = true
    this.#over()
    const stopped = this.#consumer.disconnect().catch(() => {})
    await Promise.race([stopped, sleep(LEAVE_WITHIN_MS, undefined, { ref: false })])
  }

  /**
   * The client does not look for a new coordinator when the old one dies: it gives up after its retries and joins as
   * somebody new, and the group would wait for the old member until its session ends.
   */
  async #resign(memberId: string): Promise<void> {
    this.#lastMember = null
    const request = { groupId: this.#options.group, memberId }
    const resign = async (): Promise<void> => {
      const coordinator = await this.#cluster.findGroupCoordinator({ groupId: this.#options.group })
      await (coordinator as Broker & { leaveGroup(leaving: typeof request): Promise<void> }).leaveGroup(request)
    }
    const recover = () => recoverCluster(this.#cluster)
    await recover()
    await untilAnswered('leaving the group', resign, recover, LEAVE_WITHIN_MS).catch(() => {}) // then the session's end does it
  }

  #lastGenerationOf(memberId: string): number {
    return this.#lastStamp?.memberId === memberId ? this.#lastStamp.groupGenerationId : -1
  }

  #joined(memberId: string, assigned: Record<string, number[]>, full: ReadonlyMap<string, string>): void {
    this.#over()
    if (this.#closed) return
    const partitions = new Map<string, readonly number[]>()
    for (const [topic, list] of Object.entries(assigned)) {
      const bare = full.get(topic)
      if (bare !== undefined && list.length > 0) partitions.set(bare, list.map(Number))
    }
    const stamp = withResolvers<Stamp>()
    stamp.promise.catch(() => {})
    const generation: Generation = { partitions, memberId, stamp: stamp.promise, isValid: true }
    this.#current = { generation, stamp, heartbeats: 0 }
    this.#strays = 0
    this.#lasting = 0
    this.#coordinator = null
    this.#lastMember = memberId
    this.#options.onJoined(generation)
  }

  #over(): void {
    if (!this.#current) return
    const { generation, stamp } = this.#current
    this.#current = null
    generation.isValid = false
    stamp.reject(refused())
    this.#options.onOver(generation)
  }

  #toTopics(positions: readonly PartitionPosition[]) {
    const topics = new Map<string, { partition: number; offset: string; metadata: string }[]>()
    for (const { topic, partition, offset, metadata } of positions) {
      const list = topics.get(topic) ?? []
      list.push({ partition, offset: String(offset), metadata })
      topics.set(topic, list)
    }
    return [...topics].map(([topic, partitions]) => ({ topic: this.#options.names.full(topic), partitions }))
  }
}

const refused = (cause?: unknown): CommitRefused =>
  new CommitRefused(`the group has gone on without us${cause ? `: ${reasonOf(cause)}` : ''}`, { cause })

interface PromiseWithResolvers<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (error: Error) => void
}

export function withResolvers<T>(): PromiseWithResolvers<T> {
  let resolve!: (value: T) => void
  let reject!: (error: Error) => void
  const promise = new Promise<T>((done, fail) => {
    resolve = done
    reject = fail
  })
  return { promise, resolve, reject }
}
