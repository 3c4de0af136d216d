/** One partition: raw records in, enriched records out, one batch at a time, in the order of the log. */
import { setTimeout as delay } from 'node:timers/promises'
import type { ConfigBook } from '@millrace/config'
import {
  AppendRefused,
  type LogAdmin,
  type LogProducer,
  type LogReader,
  type LogRecord,
  PositionLost,
  type StoredRecord,
} from '@millrace/log'
import { ENRICHER_GROUP, encodeEnriched, HITS_DEAD, HITS_ENRICHED, HITS_RAW, ROW_SCHEMA } from '@millrace/shared'
import type { Facts } from '../facts.ts'
import type { Tools } from '../pipeline.ts'
import type { ReadingTools } from '../raw-hit.ts'
import type { Salts } from '../salts.ts'
import type { Aside, PartitionState } from '../sessions/partition-state.ts'
import { TIME_STEP_MS } from '../sessions/recent.ts'
import type { AcceptedRecords } from './accepted.ts'
import { retryInDoubt } from './append.ts'
import { Chain } from './chain.ts'
import type { Checkpoints } from './checkpoints.ts'
import {
  BatchEnricher,
  daysNeeded,
  type EnrichedBatch,
  type ReadRecord,
  type RulesOf,
  readRaw,
} from './enrich-batch.ts'
import { Hole } from './hole.ts'
import { type CommittedHead, parseCommittedHead, restorePartition } from './restore.ts'

/** What a worker needs of its surroundings. */
export interface WorkerTools {
  readonly producer: LogProducer
  readonly reader: LogReader
  readonly admin: LogAdmin
  readonly salts: Salts
  readonly tools: Tools
  readonly reading: ReadingTools
  readonly rulesOf: RulesOf
  /** The longest session timeout of any site at this moment. */
  readonly maxSessionTimeoutMs: () => number
  readonly config: Pick<ConfigBook, 'at' | 'waitFor' | 'gapAt'>
  readonly facts: Facts
  /** Epoch milliseconds, for metrics only. */
  readonly clock: () => number
  /** At most one batch in this time, so that batches are large under load. */
  readonly batchEveryMs: number
  /** True = whoever takes the rows has enough of them: the next batch waits, for CROWDED_MS at most. */
  readonly isCrowded: () => boolean
  readonly delivery: Delivery
  /** Where its state puts aside what is seldom asked for; default: all stays in memory. */
  readonly aside?: Aside | null
  /** Where its state is kept for the next start; default: nowhere. */
  readonly checkpoints?: Checkpoints | null
  /** An enricher with nothing in it, where workers come and go by the thousand; default: a new one. */
  readonly newEnricher?: () => BatchEnricher
}

/** Delivery of raw records, as the consumer offers it. */
interface Delivery {
  seek(partition: number, offset: number): void
  pause(partition: number): void
  resume(partition: number): void
}

/** Raw bytes of a batch at most; when more than PAUSE_BYTES wait, the delivery pauses. */
const BATCH_BYTES = 2 << 20
const PAUSE_BYTES = 3 << 20
const RESUME_BYTES = 3 << 19
/** A store that is away for days must not keep raw records in the log until they expire. */
const CROWDED_MS = 2_000
const CROWDED_POLL_MS = 10
const FIRST_RETRY_MS = 100
const LONGEST_RETRY_MS = 10_000

/** Where the partition stands: all of it is void once another writer was first. */
interface Standing {
  readonly state: PartitionState
  readonly accepted: AcceptedRecords
  readonly chain: Chain
  nextRaw: number
}

export class PartitionWorker {
  readonly partition: number
  readonly #with: WorkerTools
  #enricher: BatchEnricher
  #standing: Standing | null = null
  /** The state that was restored last, with what it has on disk. */
  #state: PartitionState | null = null
  /** Nobody else has written since #standing was parked, or it was restored since. */
  #isChecked = false
  #queue: StoredRecord[] = []
  #queuedBytes = 0
  #paused = false
  #active = false
  #running: Promise<void> | null = null
  #stopWaiting = new AbortController()
  #lastBatchAt = Number.NEGATIVE_INFINITY
  #retryMs = FIRST_RETRY_MS
  #problem: string | null = null
  #hole: Hole | null = null
  #uncommitted = false
  /** Rows since the last checkpoint, and when that was. */
  #unsavedRows = 0
  #savedAt = Number.NEGATIVE_INFINITY

  constructor(partition: number, tools: WorkerTools) {
    this.partition = partition
    this.#with = tools
    this.#enricher = enricherOf(tools, partition)
  }

  /** Why the partition stands still; null = it does not. */
  get problem(): string | null {
    return this.#problem
  }

  /**
   * Begins, or goes on with the state from before if nobody else has written since. Returns at once; the delivery pauses
   * until the state is there, then it is at its place.
   */
  start(): void {
    this.#stopWaiting = new AbortController()
    this.#problem = null
    this.#hole = null
    this.#clearQueue()
    this.#pause()
    this.#active = true
    this.#isChecked = false
    this.#run()
  }

  /** Goes on if it stands in front of a hole that somebody has accepted. */
  resumeAccepted(): void {
    if (this.#hole !== null && this.#isAccepted(this.#hole)) this.start()
  }

  /** Lets go of the state of a worker that is parked: should it start again, it restores. */
  close(): void {
    this.#state?.close()
    this.#state = null
    this.#standing = null
  }

  /** Records as delivered. Returns at once; the delivery pauses while too much waits. */
  offer(records: readonly StoredRecord[]): void {
    if (!this.#active) return
    for (const record of records) {
      this.#queue.push(record)
      this.#queuedBytes += record.value?.length ?? 0
    }
    if (this.#queuedBytes > PAUSE_BYTES) this.#pause()
    this.#run()
  }

  /** Stops after the batch at work. The state is kept for a later `start`. */
  async park(): Promise<void> {
    this.#active = false
    this.#stopWaiting.abort()
    await this.#running
    this.#clearQueue()
  }

  /** What to commit for hits.raw: the next offset, and where a restore finds the state. null = nothing new. */
  takePosition(): { offset: number; metadata: string } | null {
    const standing = this.#standing
    if (!this.#uncommitted || standing === null) return null
    this.#uncommitted = false
    const committed: CommittedHead = { head: standing.chain.head, from: this.#from(standing) }
    return { offset: standing.nextRaw, metadata: JSON.stringify(committed) }
  }

  /** The position was not committed: it is still to be. */
  returnPosition(): void {
    this.#uncommitted = true
  }

  #run(): void {
    if (this.#running !== null || !this.#hasWork()) return
    this.#running = this.#drain().finally(() => {
      this.#running = null
      this.#run()
    })
  }

  /** Records, or a state that is to be restored: nothing is delivered before. */
  #hasWork(): boolean {
    return this.#active && (this.#queue.length > 0 || this.#standing === null || !this.#isChecked)
  }

  async #drain(): Promise<void> {
    while (this.#hasWork()) {
      await this.#wait(this.#lastBatchAt + this.#with.batchEveryMs - performance.now())
      await this.#waitWhileCrowded()
      this.#lastBatchAt = performance.now()
      try {
        if (this.#active) await this.#workOff()
        this.#retryMs = FIRST_RETRY_MS
      } catch (error) {
        await this.#recover(error)
      }
    }
  }

  async #waitWhileCrowded(): Promise<void> {
    const until = performance.now() + CROWDED_MS
    while (this.#active && this.#with.isCrowded() && performance.now() < until) await this.#wait(CROWDED_POLL_MS)
  }

  /** Everything that has arrived, up to BATCH_BYTES, in as many enriched records as it takes. */
  async #workOff(): Promise<void> {
    const standing = await this.#readyStanding()
    standing.state.allowTimeout(this.#with.maxSessionTimeoutMs())
    const records = await this.#takeQueued(standing)
    for (let done = 0; done < records.length && this.#active; ) {
      const first = await this.#read(records[done]!)
      const startedAt = performance.now()
      done += this.#enrichFrom(standing.state, first, records, done)
      const batch = this.#enricher.finish(standing.state)
      const record = this.#encode(standing, batch, this.#with.config.at())
      const enrichMs = performance.now() - startedAt
      if (!(await this.#append(standing, record, batch))) return
      this.#report(standing, batch, enrichMs)
      this.#saveIfDue(standing, record, batch.rows)
    }
  }

  /**
   * Takes into the batch as many records, from the one at `from` on, as fit and need not wait; returns how many. Each is read
   * just before: what it is read into has gone by the time that garbage is collected, instead of being moved about.
   */
  #enrichFrom(state: PartitionState, first: ReadRecord, records: readonly StoredRecord[], from: number): number {
    this.#enricher.add(state, first)
    let at = from + 1
    for (; at < records.length && !this.#enricher.isFull; at++) {
      const read = readRaw(records[at]!, this.#with.reading)
      if (!this.#isReady(read)) break
      this.#enricher.add(state, read)
    }
    return at - from
  }

  /** Dead letters first: should the process die in between, they are written twice and never left out. */
  async #append(standing: Standing, record: LogRecord, batch: EnrichedBatch): Promise<boolean> {
    const { producer, facts } = this.#with
    const onDoubt = (): void => {
      facts.appendInDoubt(this.partition)
      if (!this.#active) throw new Abandoned()
    }
    // Until it is known to be accepted the state is nobody's: whatever throws here leaves none behind.
    this.#standing = null
    if (batch.deadLetters.length > 0) {
      await retryInDoubt(() => producer.append(HITS_DEAD.name, new Map([[0, batch.deadLetters]])), onDoubt)
    }
    const isAccepted = await standing.chain.append(record, onDoubt)
    if (!isAccepted) {
      facts.superseded(this.partition, standing.chain.head)
      return false
    }
    standing.accepted.add(standing.chain.head, standing.state.streamTime)
    standing.nextRaw = batch.srcTo + 1
    this.#standing = standing
    this.#uncommitted = true
    return true
  }

  #encode(standing: Standing, batch: EnrichedBatch, config: number): LogRecord {
    return encodeEnriched({
      schema: ROW_SCHEMA,
      prev: standing.chain.head,
      from: this.#from(standing),
      srcFrom: batch.srcFrom,
      srcTo: batch.srcTo,
      streamTime: standing.state.streamTime,
      rows: batch.rows,
      hitRows: batch.hitRows,
      sessionRows: batch.sessionRows,
      build: this.#with.tools.build,
      geo: this.#with.tools.geo.version,
      config,
      hits: batch.hits,
      sessions: batch.sessions,
    })
  }

  /** The last accepted record with stream time below S - X (X rounded up to the step of remembered times). */
  #from({ state, accepted }: Standing): number {
    return accepted.lastBelow(state.streamTime - state.memoryMs - TIME_STEP_MS)
  }

  #saveIfDue({ state, accepted, chain, nextRaw }: Standing, record: LogRecord, rows: number): void {
    const { checkpoints, tools } = this.#with
    this.#unsavedRows += rows
    if (!checkpoints || this.#unsavedRows < checkpoints.pace.rows) return
    if (performance.now() - this.#savedAt < checkpoints.pace.ms) return
    checkpoints.save({ kp: tools.kp, partition: this.partition, head: chain.head, nextRaw, state, accepted }, record)
    this.#unsavedRows = 0
    this.#savedAt = performance.now()
  }

  #report({ state }: Standing, batch: EnrichedBatch, enrichMs: number): void {
    this.#with.facts.batchWritten({
      partition: this.partition,
      rows: batch.rows,
      verdicts: batch.count.verdicts,
      deadReasons: batch.count.deadReasons,
      enrichMs,
      lagMs: this.#with.clock() - state.streamTime,
      sessions: state.sessionCount,
      sessionsAside: state.asideCount,
      dedupEntries: state.dedupEntries,
    })
  }

  /** Takes from the queue what makes a batch. What was enriched already is left out; a gap must be a gap of the log. */
  async #takeQueued(standing: Standing): Promise<StoredRecord[]> {
    const records: StoredRecord[] = []
    let taken = 0
    let bytes = 0
    for (let next = standing.nextRaw; taken < this.#queue.length && bytes < BATCH_BYTES; taken++) {
      const record = this.#queue[taken]!
      if (record.offset > next && records.length > 0) break // first what comes before the gap
      bytes += record.value?.length ?? 0
      if (record.offset < next) continue
      if (record.offset > next) {
        await this.#checkGap(standing, record.offset)
        return []
      }
      records.push(record)
      next++
    }
    this.#queue = this.#queue.slice(taken)
    this.#queuedBytes -= bytes
    if (this.#queuedBytes < RESUME_BYTES) this.#resume()
    return records
  }

  /** Not before the sites are known as the collector knew them, which decides the days of the hits too, and their salts. */
  async #read(record: StoredRecord): Promise<ReadRecord> {
    const { config, reading, salts } = this.#with
    let read = readRaw(record, reading)
    if (read.configAt > config.at()) {
      await config.waitFor(read.configAt, this.#stopWaiting.signal)
      read = readRaw(record, reading)
    }
    if (!this.#isReady(read)) await salts.ensure(daysNeeded(read))
    return read
  }

  /** Whether all is known that enriching a record takes. It is asked for every record: most have hits of one day. */
  #isReady({ configAt, hits }: ReadRecord): boolean {
    const { config, salts } = this.#with
    if (configAt > config.at()) return false
    let decided = Number.NaN
    for (const { day, dead } of hits) {
      if (day === decided || dead !== '') continue
      if (!salts.isDecided(day)) return false
      decided = day
    }
    return true
  }

  /** @throws Hole when the log itself has the gap, unless it was accepted; a delivery that jumped is set right instead */
  async #checkGap(standing: Standing, found: number): Promise<void> {
    const wanted = standing.nextRaw
    for await (const batch of this.#with.reader.read(HITS_RAW.name, this.partition, wanted, found)) {
      if (batch[0]?.offset !== wanted) break
      this.#clearQueue()
      this.#with.delivery.seek(this.partition, wanted)
      return
    }
    standing.nextRaw = this.#past(new Hole(this.partition, wanted, found))
  }

  #isAccepted({ wanted, found }: Hole): boolean {
    return this.#with.config.gapAt(this.partition, wanted) === found
  }

  /** Where to go on behind a hole that was accepted. @throws Hole when it was not */
  #past(hole: Hole): number {
    if (!this.#isAccepted(hole)) throw hole
    return hole.found
  }

  /** The state to go on with: the one at hand, else a restored one, and then the delivery is at its place. */
  async #readyStanding(): Promise<Standing> {
    if (this.#standing !== null && this.#isChecked) return this.#standing
    const standing =
      this.#standing !== null && (await this.#isStillFirst(this.#standing)) ? this.#standing : await this.#restore()
    this.#standing = standing
    this.#isChecked = true
    this.#clearQueue()
    this.#with.delivery.seek(this.partition, standing.nextRaw)
    return standing
  }

  async #isStillFirst({ chain }: Standing): Promise<boolean> {
    const end = (await this.#with.admin.endOffsets(HITS_ENRICHED.name)).get(this.partition)!
    const isFirst = await chain.isFirstUpTo(end)
    if (isFirst) this.#with.facts.kept(this.partition)
    return isFirst
  }

  /** @throws Hole when the raw records to go on with have expired; PositionLost */
  async #restore(): Promise<Standing> {
    const { admin, reader, producer, facts } = this.#with
    this.close()
    const startedAt = performance.now()
    const offsetOf = async (offsets: Promise<Map<number, number>>) => (await offsets).get(this.partition)!
    const committed = (await admin.committed(ENRICHER_GROUP, HITS_RAW.name)).get(this.partition) ?? null
    const low = await offsetOf(admin.lowOffsets(HITS_ENRICHED.name))
    const end = await offsetOf(admin.endOffsets(HITS_ENRICHED.name))
    const head = committed === null ? null : parseCommittedHead(committed.metadata)
    const enriched = { reader, partition: this.partition, low, end, signal: this.#stopWaiting.signal }
    const { aside, checkpoints, maxSessionTimeoutMs, tools } = this.#with
    const checkpoint = checkpoints?.find(this.partition, tools.kp) ?? null
    const restored = await restorePartition(enriched, head, maxSessionTimeoutMs(), aside, checkpoint)
    const { state, accepted, ...point } = restored
    this.#state = state
    this.#unsavedRows = point.rows
    const rawLow = await offsetOf(admin.lowOffsets(HITS_RAW.name))
    const wanted = point.nextRaw >= 0 ? point.nextRaw : (committed?.offset ?? rawLow)
    const nextRaw = wanted < rawLow ? this.#past(new Hole(this.partition, wanted, rawLow)) : wanted
    const ms = Math.round(performance.now() - startedAt)
    facts.restored({
      partition: this.partition,
      head: point.head,
      nextRaw,
      rows: point.rows,
      sessions: state.sessionCount,
      ms,
    })
    return { state, accepted, chain: new Chain({ producer, reader }, this.partition, point.head, end), nextRaw }
  }

  /** After an error the state is restored and the work tried again, later and later; what cannot get better stops it. */
  async #recover(error: unknown): Promise<void> {
    this.#standing = null
    this.#enricher = enricherOf(this.#with, this.partition) // half a batch may be in it
    if (!this.#active) return
    if (isFinal(error)) return this.#stop(error)
    this.#with.facts.failed(this.partition, error)
    await this.#wait(this.#retryMs)
    this.#retryMs = Math.min(this.#retryMs * 2, LONGEST_RETRY_MS)
  }

  #stop(error: Error): void {
    this.#active = false
    this.#problem = error.message
    this.#hole = error instanceof Hole ? error : null
    this.#pause()
    this.#with.facts.stopped(this.partition, error, error instanceof Hole)
    this.resumeAccepted() // by now it may be
  }

  #pause(): void {
    if (this.#paused) return
    this.#paused = true
    this.#with.delivery.pause(this.partition)
  }

  #resume(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#with.delivery.resume(this.partition)
  }

  /** Drops what waits: it will be delivered again, if it is needed. */
  #clearQueue(): void {
    this.#queue = []
    this.#queuedBytes = 0
    this.#resume()
  }

  async #wait(ms: number): Promise<void> {
    if (ms <= 0) return
    await delay(ms, undefined, { signal: this.#stopWaiting.signal }).catch(() => {})
  }
}

const enricherOf = (tools: WorkerTools, partition: number): BatchEnricher =>
  tools.newEnricher?.() ?? new BatchEnricher(tools.tools, tools.rulesOf, partition)

/** The partition was given up while an append was in doubt. */
class Abandoned extends Error {}

/** What does not get better by trying again: the partition stops and says so. */
function isFinal(error: unknown): error is Error {
  return error instanceof Hole || error instanceof PositionLost || error instanceof AppendRefused
}
