import { randomBytes } from 'node:crypto'
import type { Assignment, ConsumerHandlers, EventLog, LogAdmin, StoredRecord } from '@millrace/log'
import { AGGREGATOR_GROUP, HITS_ENRICHED, HITS_RAW, kpOf } from '@millrace/shared'
import type { Facts } from '../facts.ts'
import { Alarm } from './alarm.ts'
import { backoffMs } from './backoff.ts'
import { Queue } from './batch.ts'
import { type ChainFault, follow } from './chain.ts'
import { commitDone } from './commit.ts'
import { Completeness } from './complete-until.ts'
import type { Evidence } from './evidence.ts'
import { flush } from './flush.ts'
import type { WriterLimits } from './limits.ts'
import { type Partition, Partitions } from './partitions.ts'
import { decodePosition } from './plan.ts'
import { restore } from './restore.ts'
import type { Tools } from './tools.ts'

const TOPIC = HITS_ENRICHED.name
/** A restore that failed waits as long as after this many failed tries. */
const RESTORE_TRIES = 3

/** What the writer needs. Times are by performance.now(), except `completeUntil`, which is epoch ms. */
export interface WriterParts {
  readonly log: EventLog
  readonly store: Tools['store']
  readonly evidence: Evidence
  readonly facts: Facts
  readonly limits: WriterLimits
}

/** A running writer. */
export interface Writer {
  /** Every hit that was in the log before this time (epoch ms) is counted. Never goes back. */
  completeUntil(): Promise<number>
  /** A whole batch waits behind the one that is being inserted: who brings more only takes time from it. */
  isCrowded(): boolean
  /** Why some of the work stands still and needs a person; null = nothing does. */
  problem(): string | null
  /**
   * Resolves when everything that was begun is inserted, no plan is open and nothing more is inserted until release(): the
   * store stands still, and the group's position says exactly what is in it. Hits wait in the log meanwhile. One at a time.
   * @throws Error when the writer closes, or cannot bring what it has begun to its end
   */
  hold(): Promise<{ release(): void }>
  /** Inserts what is gathered, commits an empty plan, leaves the group. A plan in doubt is left to the next start. */
  close(): Promise<void>
}

/** Joins the group and writes until close(). @throws errors of the log at the start */
export async function startWriter(parts: WriterParts): Promise<Writer> {
  const epoch = await parts.log.epoch()
  const writer = new Scheduler(parts, epoch)
  await writer.start()
  return writer
}

/**
 * One loop does everything that has to happen in order: positions of new partitions, one flush after the other, empty
 * plans when idle. Meanwhile the log's handlers gather the next batch and ring.
 */
class Scheduler implements Writer {
  readonly #tools: Tools
  readonly #admin: LogAdmin
  readonly #consumer: ReturnType<EventLog['consumer']>
  readonly #reader: ReturnType<EventLog['reader']>
  readonly #epoch: number
  readonly #queue: Queue<Partition>
  readonly #alarm = new Alarm()
  readonly #setback = new Alarm()
  readonly #completeness = new Completeness()
  readonly #stopped = new Map<number, string>()
  /** Somebody wants the store to stand still. */
  #hold: Hold | null = null
  #closing = false
  /** A batch was taken off the queue and not planned: what is behind it must not be inserted. */
  #abandoned = false
  #crashed: string | null = null
  #idleSince = 0
  #working: Promise<void> = Promise.resolve()

  constructor({ log, store, evidence, facts, limits }: WriterParts, epoch: number) {
    this.#epoch = epoch
    this.#admin = log.admin()
    this.#consumer = log.consumer(AGGREGATOR_GROUP)
    this.#reader = log.reader()
    this.#queue = new Queue(limits.batch)
    this.#tools = {
      consumer: this.#consumer,
      reader: this.#reader,
      store,
      evidence,
      facts,
      limits,
      partitions: new Partitions(),
      live: new Map(),
      newFlush: () => randomBytes(8).toString('hex'),
      patience: (tries) => this.#wait(tries),
      stop: (partition, reason) => this.#stop(partition, reason),
    }
    facts.onLag(() => this.#lag())
  }

  async start(): Promise<void> {
    this.#working = this.#work().catch((error: unknown) => {
      this.#crashed = `the writer ended: ${(error as Error).message}`
      this.#tools.facts.crashed(error)
    })
    const handlers: ConsumerHandlers = {
      onAssigned: async (assignments) => this.#assigned(assignments),
      onBatch: async (_topic, partition, records) => this.#gather(partition, records),
      onLost: async (partitions) => this.#lost(partitions.map(({ partition }) => partition)),
    }
    try {
      await this.#consumer.run([TOPIC], handlers)
    } catch (error) {
      await this.close()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closing = true
    this.#alarm.ring()
    this.#setback.ring()
    await this.#working
    await this.#consumer.close()
    await this.#reader.close()
    await this.#admin.close()
  }

  async hold(): Promise<{ release(): void }> {
    if (this.#hold || this.#closing) throw new Error('the writer is held already, or closing')
    const hold = new Hold()
    this.#hold = hold
    const release = (): void => {
      if (this.#hold === hold) this.#hold = null
      this.#alarm.ring()
    }
    this.#alarm.ring()
    try {
      await hold.stands
    } catch (error) {
      release()
      throw error
    }
    return { release }
  }

  isCrowded(): boolean {
    return this.#queue.hasWholeBatch
  }

  problem(): string | null {
    const stopped = [...this.#stopped].map(([partition, reason]) => `partition ${partition}: ${reason}`)
    return this.#crashed ?? (stopped.length > 0 ? stopped.join('; ') : null)
  }

  async #work(): Promise<void> {
    while (!this.#closing) await this.#step()
    this.#hold?.refuse('the writer is closing')
    while (!this.#queue.empty && !this.#abandoned && !this.#inDoubt()) await this.#flush()
    await this.#commitDone()
  }

  async #step(): Promise<void> {
    const now = performance.now()
    const starting = this.#tools.partitions.inPhase('starting')
    if (this.#hold && starting.length === 0) return this.#standStill(this.#hold)
    const flushMs = this.#queue.dueInMs(now)
    const settleMs = this.#settleInMs(now)
    if (starting.length > 0) await this.#restore(starting)
    else if (flushMs <= 0) await this.#flush()
    else if (settleMs <= 0) await this.#commitDone()
    else await this.#alarm.sleep(Math.min(flushMs, settleMs))
  }

  /** Nothing is begun while somebody holds; an empty plan says that everything begun is done. */
  async #standStill(hold: Hold): Promise<void> {
    if (this.#inDoubt()) hold.refuse('an insert is in doubt')
    else {
      await this.#commitDone()
      if (this.#tools.partitions.unsettled().length > 0) hold.refuse('the position could not be committed')
      else hold.grant()
    }
    await this.#alarm.sleep(Number.POSITIVE_INFINITY)
  }

  async #restore(starting: readonly Partition[]): Promise<void> {
    try {
      await restore(this.#tools, starting)
    } catch (error) {
      this.#tools.facts.restoreFailed(error)
      await this.#wait(RESTORE_TRIES)
    }
  }

  async #flush(): Promise<void> {
    const batch = this.#queue.take()
    this.#relieve()
    if (!(await flush(this.#tools, batch))) this.#abandoned = true
    this.#idleSince = performance.now()
    this.#noteProgress()
  }

  async #commitDone(): Promise<void> {
    this.#idleSince = performance.now()
    try {
      await commitDone(this.#tools)
    } catch (error) {
      this.#tools.facts.idleCommitFailed(error)
    }
  }

  #settleInMs(now: number): number {
    const unsettled = this.#queue.empty && this.#tools.partitions.unsettled().length > 0
    return unsettled ? Math.max(0, this.#idleSince + this.#tools.limits.idleCommitMs - now) : Number.POSITIVE_INFINITY
  }

  /** A flush that could not be brought to its end: only on closing. */
  #inDoubt(): boolean {
    return this.#tools.partitions.all().some(({ plan, phase }) => plan !== null && phase !== 'stopped')
  }

  async #wait(tries: number): Promise<boolean> {
    if (!this.#closing) await this.#setback.sleep(backoffMs(tries, this.#tools.limits.backoff))
    return !this.#closing
  }

  #assigned(assignments: readonly Assignment[]): void {
    for (const assignment of assignments) {
      this.#forget(assignment.partition)
      this.#tools.partitions.add(assignment, kpOf(this.#epoch, assignment.partition))
    }
    this.#consumer.pause(
      TOPIC,
      assignments.map(({ partition }) => partition),
    )
    this.#alarm.ring()
  }

  #lost(partitions: readonly number[]): void {
    for (const partition of partitions) this.#forget(partition)
    this.#tools.facts.lost(partitions)
    this.#setback.ring()
    this.#alarm.ring()
  }

  #forget(number: number): void {
    const partition = this.#tools.partitions.remove(number)
    if (!partition) return
    this.#stopped.delete(number)
    this.#queue.drop(partition)
    for (const key of this.#tools.live.keys()) if (key.startsWith(`${partition.kp}/`)) this.#tools.live.delete(key)
  }

  #stop(partition: Partition, reason: string): void {
    if (!this.#tools.partitions.owns(partition)) return
    partition.phase = 'stopped'
    this.#queue.drop(partition)
    this.#consumer.pause(TOPIC, [partition.partition])
    this.#stopped.set(partition.partition, reason)
    this.#tools.facts.stopped(partition.partition, reason)
  }

  /** Takes what the log delivers; rings when a batch may be due. */
  #gather(number: number, records: readonly StoredRecord[]): void {
    const owner = this.#tools.partitions.get(number)
    if (owner?.phase !== 'active' || this.#closing) return
    const followed = follow(owner.gathered, records)
    owner.gathered = followed.cursor
    const arrivedAt = performance.now()
    for (const { offset, record } of followed.accepted) {
      this.#queue.push({ owner, offset, before: owner.taken, record, arrivedAt })
      owner.taken = { next: offset + 1, head: offset, srcMax: record.srcTo }
    }
    this.#tools.facts.accepted(followed.accepted.length)
    if (followed.rejected.length > 0) this.#tools.facts.rejected(number, followed.rejected)
    if (followed.fault) this.#meetFault(owner, followed.fault, records.at(-1)!.offset)
    if (this.#queue.full) {
      owner.paused = true
      this.#consumer.pause(TOPIC, [number])
    }
    this.#alarm.ring()
  }

  #meetFault(owner: Partition, fault: ChainFault, lastOffset: number): void {
    const { next, srcMax } = owner.gathered
    if (fault === 'src_repeated') {
      this.#stop(
        owner,
        `the record at offset ${next} begins at or before raw offset ${srcMax}, which is counted already`,
      )
    } else if (owner.gapAt === next) {
      this.#stop(owner, `offsets ${next} to about ${lastOffset} of ${TOPIC} are missing: deleted before they were read`)
    } else {
      // Once, it may be a delivery that was under way when the position was set.
      owner.gapAt = next
      this.#consumer.seek(TOPIC, owner.partition, next)
    }
  }

  /** Lets the paused partitions go on when there is room. */
  #relieve(): void {
    if (this.#queue.full) return
    for (const owner of this.#tools.partitions.inPhase('active')) {
      if (!owner.paused) continue
      owner.paused = false
      this.#consumer.resume(TOPIC, [owner.partition])
    }
  }

  async completeUntil(): Promise<number> {
    await this.#takeSnapshot()
    return this.#completeness.until
  }

  /** After a flush: what was reached, and while records flow a new snapshot to reach. */
  #noteProgress(): void {
    if (this.#closing) return
    this.#completeness.advance(this.#insertedHere())
    // A snapshot that fails leaves the answer older; whoever asks gets the error.
    if (!this.#completeness.waits) this.#takeSnapshot().catch(() => {})
  }

  async #takeSnapshot(): Promise<void> {
    const timeMs = Date.now()
    const ends = await this.#admin.endOffsets(HITS_RAW.name)
    this.#completeness.note({ timeMs, ends })
    const here = this.#insertedHere()
    const elsewhere = [...ends.keys()].some((partition) => !here.has(partition))
    this.#completeness.advance(elsewhere ? new Map([...(await this.#insertedElsewhere()), ...here]) : here)
  }

  /** Largest inserted raw offset of our partitions. */
  #insertedHere(): Map<number, number> {
    const active = this.#tools.partitions.inPhase('active')
    return new Map(active.map(({ partition, done }) => [partition, done.srcMax]))
  }

  /** The same of all partitions by the group's commits, whoever owns them. */
  async #insertedElsewhere(): Promise<Map<number, number>> {
    const inserted = new Map<number, number>()
    for (const [partition, position] of await this.#admin.committed(AGGREGATOR_GROUP, TOPIC)) {
      try {
        inserted.set(partition, decodePosition(position).done.srcMax)
      } catch {
        // A position that is not ours says nothing.
      }
    }
    return inserted
  }

  async #lag(): Promise<number> {
    const ends = await this.#admin.endOffsets(TOPIC)
    return this.#tools.partitions.all().reduce((sum, { partition, done, taken, gathered }) => {
      const at = done.next === taken.next ? gathered.next : done.next
      return sum + Math.max(0, (ends.get(partition) ?? at) - at)
    }, 0)
  }
}

/** A wish that the writer stands still. */
class Hold {
  readonly stands: Promise<void>
  grant = (): void => undefined
  #refuse: (error: Error) => void = () => undefined

  constructor() {
    this.stands = new Promise((resolve, reject) => {
      this.grant = resolve
      this.#refuse = reject
    })
    this.stands.catch(() => undefined)
  }

  refuse(reason: string): void {
    this.#refuse(new Error(reason))
  }
}
