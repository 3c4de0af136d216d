import {
  type Assignment,
  CommitRefused,
  type ConsumerHandlers,
  type LogConsumer,
  type PartitionPosition,
  PositionLost,
} from '../event-log.ts'
import { Lane } from './lane.ts'
import { TopicFeed } from './topic-feed.ts'
import { TopicScan } from './topic-scan.ts'
import type { WriterClient } from './writer-client.ts'

const MAX_METADATA = 4096

interface Running {
  readonly member: number
  readonly handlers: ConsumerHandlers
  /** Topic -> partition -> lane. */
  readonly lanes: ReadonlyMap<string, ReadonlyMap<number, Lane>>
  readonly feeds: TopicFeed[]
}

/** Consumes for a group, of which it is the only member: all partitions are its own until it is closed. */
export class EmbeddedConsumer implements LogConsumer {
  readonly #client: WriterClient
  readonly #group: string
  #running: Running | null = null
  #started = false
  #closed = false

  constructor(client: WriterClient, group: string) {
    this.#client = client
    this.#group = group
  }

  /** @throws PositionLost when a committed position is outside of what the log holds */
  async run(topics: readonly string[], handlers: ConsumerHandlers): Promise<void> {
    if (this.#started || this.#closed) throw new Error('a consumer runs once')
    this.#started = true
    const views = await Promise.all(topics.map((topic) => this.#client.topic(topic)))
    const { member, assignments } = await this.#client.ask('join', { group: this.#group, topics })
    try {
      for (const assignment of assignments) checkCommitted(this.#group, assignment, handlers.seesHoles === true)
      const lanes = lanesOf(assignments)
      this.#running = { member, handlers, lanes, feeds: [] }
      await handlers.onAssigned(assignments)
    } catch (error) {
      this.#running = null
      await this.#client.ask('leave', { member })
      throw error
    }
    if (this.#closed) return
    for (const view of views) this.#startFeed(new TopicScan(view, this.#client))
  }

  #startFeed(scan: TopicScan): void {
    const { lanes, feeds } = this.#running!
    const feed: TopicFeed = new TopicFeed(scan, lanes.get(scan.view.name)!, {
      deliver: (lane) => this.#deliver(lane, feed),
      fail: (error) => this.#fail(error),
    })
    feeds.push(feed)
    feed.go()
  }

  #deliver(lane: Lane, feed: TopicFeed): void {
    if (this.#closed || lane.paused || lane.busy || !lane.hasRecords) return
    lane.busy = true
    this.#running!.handlers.onBatch(lane.topic, lane.partition, lane.take()).then(
      () => {
        lane.busy = false
        this.#deliver(lane, feed)
        feed.go()
      },
      (error: Error) => this.#fail(error),
    )
  }

  /** A handler that throws has not done its work: to go on would lose records. */
  #fail(error: Error): void {
    if (this.#closed || this.#client.isClosed) return
    for (const feed of this.#running?.feeds ?? []) feed.close()
    this.#client.onFailure(error)
  }

  #lane(topic: string, partition: number): Lane {
    const lane = this.#running?.lanes.get(topic)?.get(partition)
    if (lane === undefined) throw new Error(`${topic}/${partition} is not assigned to this consumer`)
    return lane
  }

  seek(topic: string, partition: number, offset: number): void {
    checkOffset(offset)
    this.#lane(topic, partition).seek(offset)
    this.#go()
  }

  pause(topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#lane(topic, partition).paused = true
  }

  resume(topic: string, partitions: readonly number[]): void {
    for (const partition of partitions) this.#lane(topic, partition).paused = false
    this.#go()
  }

  /** Hands over what waits and reads on, after the caller has finished what it is doing. */
  #go(): void {
    queueMicrotask(() => {
      for (const feed of this.#running?.feeds ?? []) feed.deliver()
    })
  }

  async commit(positions: readonly PartitionPosition[]): Promise<void> {
    if (this.#closed || this.#running === null) throw new CommitRefused('the consumer does not run')
    for (const { offset, metadata } of positions) {
      checkOffset(offset)
      if (metadata.length > MAX_METADATA) throw new RangeError(`metadata is longer than ${MAX_METADATA} characters`)
    }
    const copies = positions.map(({ topic, partition, offset, metadata }) => ({ topic, partition, offset, metadata }))
    await this.#client.ask('commit', { member: this.#running.member, positions: copies })
  }

  /** Does not wait for batches that are with a handler: it may be called from one. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    if (this.#running === null) return
    const { member, handlers, lanes, feeds } = this.#running
    for (const feed of feeds) feed.close()
    const lost = [...lanes.values()].flatMap((partitions) => [...partitions.values()])
    try {
      if (!this.#client.isClosed) await this.#client.ask('leave', { member })
    } finally {
      await handlers.onLost(lost.map(({ topic, partition }) => ({ topic, partition })))
    }
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

function lanesOf(assignments: readonly Assignment[]): Map<string, Map<number, Lane>> {
  const topics = new Map<string, Map<number, Lane>>()
  for (const { topic, partition, committed, low } of assignments) {
    const lanes = topics.get(topic) ?? new Map<number, Lane>()
    lanes.set(partition, new Lane(topic, partition, Math.max(committed?.offset ?? low, low)))
    topics.set(topic, lanes)
  }
  return topics
}

function checkOffset(offset: number): void {
  if (!Number.isSafeInteger(offset) || offset < 0) throw new RangeError(`${offset} is no offset`)
}
