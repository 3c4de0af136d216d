import type { TopicSpec } from '@millrace/shared'

/** A record to append. `timestamp` (epoch ms) counts only on topics with `timestamps: 'create'`. */
export interface LogRecord {
  readonly key?: Buffer | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, Buffer>>
  readonly timestamp?: number
}

/** A record as read. Offsets rise by one within a partition, but compaction may leave gaps. */
export interface StoredRecord {
  readonly offset: number
  readonly timestamp: number
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: Readonly<Record<string, Buffer>>
}

/** A committed position: the offset to go on with, and a string (at most 4,096 characters) that was committed with it. */
export interface Position {
  readonly offset: number
  readonly metadata: string
}

export interface PartitionPosition extends Position {
  readonly topic: string
  readonly partition: number
}

export interface LogProducer {
  /**
   * Appends records, in order, to several partitions of one topic. Resolves with the offset of the first record of each
   * partition, only when every record of every partition is durable; readers see nothing before it is durable.
   * One append per partition is in flight at a time: later calls for the same partition wait.
   * @throws AppendInDoubt when it is not known whether (all of) it was written: repeat it with identical bytes
   * @throws AppendRefused when nothing was written and a repetition cannot help (too large, unknown topic or partition)
   */
  append(topic: string, perPartition: ReadonlyMap<number, readonly LogRecord[]>): Promise<Map<number, number>>
  close(): Promise<void>
}

/** What a consumer is told when it gains a partition. */
export interface Assignment {
  readonly topic: string
  readonly partition: number
  /** Last commit of the group; null = never committed. */
  readonly committed: Position | null
  /** Offset of the oldest record that can be read, and the offset that the next record will get. */
  readonly low: number
  readonly end: number
}

export interface ConsumerHandlers {
  /**
   * True: onAssigned itself looks whether `committed` is below `low`, which is a hole; delivery would start behind it. Else the
   * consumer fails there with PositionLost. A position beyond the end is always lost.
   */
  readonly seesHoles?: boolean
  /**
   * Partitions gained. Nothing of them is delivered before it resolves. It may seek() them; without a seek delivery
   * starts at the committed offset, else at the oldest record.
   */
  onAssigned(assignments: readonly Assignment[]): Promise<void>
  /**
   * Records of one partition, in order of offsets, never empty. The next batch of that partition comes after it
   * resolves; batches of other partitions may run beside it. Must not wait long: pause the partition instead.
   */
  onBatch(topic: string, partition: number, records: readonly StoredRecord[]): Promise<void>
  /** Partitions lost (rebalance, close). Commits of them are refused from now on; drop their work. */
  onLost(partitions: readonly { topic: string; partition: number }[]): Promise<void>
}

/** At least once, ordered within a partition. */
export interface LogConsumer {
  /** Joins the group and starts delivery. Resolves when the first assignment was handled. */
  run(topics: readonly string[], handlers: ConsumerHandlers): Promise<void>
  /**
   * The next delivered record of the partition is the first with an offset >= `offset`. Like pause() and resume() it does
   * nothing for a partition that was lost.
   */
  seek(topic: string, partition: number, offset: number): void
  pause(topic: string, partitions: readonly number[]): void
  resume(topic: string, partitions: readonly number[]): void
  /**
   * Commits all positions at once: all or none. Fenced by the group: after a partition went to another owner it is refused.
   * @throws CommitRefused the partition is not (any more) ours: drop the work
   */
  commit(positions: readonly PartitionPosition[]): Promise<void>
  close(): Promise<void>
}

/** Reads without a group: restores, checks, `tail`, and topics that every service follows. */
export interface LogReader {
  /** Records of [from, to) that exist, in order, in batches of moderate size (about 1 MB). Ends at `to` or at the end of the log. */
  read(topic: string, partition: number, from: number, to: number): AsyncIterable<readonly StoredRecord[]>
  /**
   * Delivers all records of a topic's partitions from the oldest on, then follows. `caughtUp` resolves when everything
   * that was in the topic at the call has been delivered. Errors of `onRecords` end it: `caughtUp` or `done` rejects.
   */
  follow(
    topic: string,
    onRecords: (partition: number, records: readonly StoredRecord[]) => void | Promise<void>,
  ): Following
  close(): Promise<void>
}

export interface Following {
  readonly caughtUp: Promise<void>
  /** Resolves after stop(); rejects when following failed. */
  readonly done: Promise<void>
  stop(): Promise<void>
}

export interface LogAdmin {
  /** Creates the missing topics. @throws Error when one exists with another number of partitions (never changed in place) */
  ensureTopics(specs: readonly TopicSpec[], hitPartitions: number): Promise<void>
  /** Number of partitions of a topic. @throws Error for an unknown topic */
  partitions(topic: string): Promise<number>
  /** Committed positions of a group by partition; partitions without a commit are missing. */
  committed(group: string, topic: string): Promise<Map<number, Position>>
  lowOffsets(topic: string): Promise<Map<number, number>>
  endOffsets(topic: string): Promise<Map<number, number>>
  /** First offset with a timestamp >= `timestampMs`, for every partition; the end offset where there is none. */
  offsetsForTime(topic: string, timestampMs: number): Promise<Map<number, number>>
  close(): Promise<void>
}

/**
 * The event log. At least once; ordered within a partition; an append that resolved survives kill -9 and power loss.
 * Adapters: embedded (this process, one folder) and Kafka. One contract suite holds for both.
 */
export interface EventLog {
  producer(): LogProducer
  consumer(group: string): LogConsumer
  reader(): LogReader
  admin(): LogAdmin
  /** Log epoch, part of `kp`: rises when the topics are made anew (another number of partitions, a move). */
  epoch(): Promise<number>
  close(): Promise<void>
}

export class AppendInDoubt extends Error {
  override readonly name = 'AppendInDoubt'
}
export class AppendRefused extends Error {
  override readonly name = 'AppendRefused'
}
export class CommitRefused extends Error {
  override readonly name = 'CommitRefused'
}
/** The committed position is outside of what the log holds: stop and say so, never start anew silently. */
export class PositionLost extends Error {
  override readonly name = 'PositionLost'
}
