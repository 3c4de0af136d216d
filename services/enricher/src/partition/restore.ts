/**
 * Makes the state of a partition from the accepted records of hits.enriched. Nothing is decided again: the state is what
 * the records say, whoever wrote them.
 */
import { type LogReader, PositionLost, type StoredRecord } from '@millrace/log'
import { HITS_ENRICHED } from '@millrace/shared'
import { type Aside, PartitionState } from '../sessions/partition-state.ts'
import { StateReader } from '../sessions/restore-rows.ts'
import { AcceptedRecords } from './accepted.ts'
import { tryDecode } from './chain.ts'
import type { Checkpoint } from './checkpoints.ts'

/** Where the enricher stands in a partition. */
export interface PartitionPoint {
  readonly state: PartitionState
  readonly accepted: AcceptedRecords
  /** Offset of the last accepted record; -1 = none. */
  readonly head: number
  /** Next offset of hits.raw; -1 = there is no accepted record to tell. */
  readonly nextRaw: number
  /** Hit rows read. */
  readonly rows: number
}

/** The metadata of a commit of hits.raw. */
export interface CommittedHead {
  readonly head: number
  readonly from: number
}

/** The metadata of a commit; null = there is none, or it is not ours. */
export function parseCommittedHead(metadata: string): CommittedHead | null {
  try {
    const { head, from } = JSON.parse(metadata) as CommittedHead
    return Number.isSafeInteger(head) && Number.isSafeInteger(from) && from <= head ? { head, from } : null
  } catch {
    return null
  }
}

/** What a restore reads: one partition of hits.enriched, from its oldest record to its end. */
export interface EnrichedPartition {
  readonly reader: LogReader
  readonly partition: number
  readonly low: number
  readonly end: number
  /** Ends the restore. */
  readonly signal?: AbortSignal
}

/** A state, and what a restore begins with. */
interface Start {
  readonly state: PartitionState
  readonly accepted: AcceptedRecords
  readonly known: CommittedHead
  /** As of PartitionPoint, if no record follows. */
  readonly nextRaw: number
}

/**
 * Restores a partition, from a checkpoint if there is one of a record that was accepted. Else the chain is followed from the `from` of
 * the committed head; without one, the chain that reaches the highest raw offset is looked for from the oldest record on.
 * @throws PositionLost when the committed head lies beyond the end: the topic is not the one that was committed for
 */
export async function restorePartition(
  log: EnrichedPartition,
  committed: CommittedHead | null,
  maxSessionTimeoutMs: number,
  aside: Aside | null = null,
  checkpoint: Checkpoint | null = null,
): Promise<PartitionPoint> {
  if (committed !== null && committed.head >= log.end) {
    throw new PositionLost(
      `hits.enriched-${log.partition} ends at ${log.end}, but ${committed.head} was committed as written: the topic was truncated or made anew`,
    )
  }
  const empty = (): PartitionState => new PartitionState(maxSessionTimeoutMs, aside)
  const start = (await startAt(checkpoint, log, committed, empty)) ?? (await startWithNothing(log, committed, empty))
  try {
    return await restoreFrom(start, log)
  } catch (error) {
    start.state.close()
    throw error
  }
}

async function startWithNothing(
  log: EnrichedPartition,
  committed: CommittedHead | null,
  empty: () => PartitionState,
): Promise<Start> {
  const known = committed ?? (await findHead(log))
  return { state: empty(), accepted: new AcceptedRecords(known.from), known, nextRaw: -1 }
}

/** null = the checkpoint is of another log, older than what is read without it, or cannot be read. */
async function startAt(
  checkpoint: Checkpoint | null,
  log: EnrichedPartition,
  committed: CommittedHead | null,
  empty: () => PartitionState,
): Promise<Start | null> {
  if (checkpoint === null) return null
  const { head, nextRaw } = checkpoint
  if (head < log.low || head >= log.end || head < (committed?.from ?? -1)) return null
  if (!(await isIn(log, checkpoint))) return null
  const state = empty()
  const accepted = checkpoint.load(state)
  if (accepted !== null) {
    return { state, accepted, known: { head: Math.max(head, committed?.head ?? -1), from: head }, nextRaw }
  }
  state.close()
  return null
}

async function isIn(log: EnrichedPartition, checkpoint: Checkpoint): Promise<boolean> {
  const { head } = checkpoint
  for await (const record of records(log, head, head + 1)) return record.offset === head && checkpoint.isAt(record)
  return false
}

async function restoreFrom(start: Start, log: EnrichedPartition): Promise<PartitionPoint> {
  const { known } = start
  const restore = new Restore(start)
  const before = known.from + 1 < log.low ? await backFrom(log, known.head) : null
  for await (const record of records(log, Math.max(known.from + 1, log.low), log.end)) {
    restore.add(record, before)
  }
  return restore.finish(log, before !== null)
}

/** Applies accepted records one after another. */
class Restore {
  readonly #state: PartitionState
  readonly #reader: StateReader
  readonly #accepted: AcceptedRecords
  readonly #committedHead: number
  #head: number
  #nextRaw: number
  #rows = 0

  constructor({ state, accepted, known, nextRaw }: Start) {
    this.#state = state
    this.#reader = new StateReader(state)
    this.#accepted = accepted
    this.#nextRaw = nextRaw
    this.#committedHead = known.head
    this.#head = known.from
  }

  /** `before`: the records up to the committed head that are known to be accepted, where the start of the chain is gone. */
  add(stored: StoredRecord, before: ReadonlySet<number> | null): void {
    const record = tryDecode(stored)
    if (record === null) return
    const isAccepted =
      before !== null && stored.offset <= this.#committedHead
        ? before.has(stored.offset)
        : record.prev === this.#headFor(before)
    if (!isAccepted) return
    this.#head = stored.offset
    this.#nextRaw = record.srcTo + 1
    this.#rows += record.rows
    this.#accepted.add(stored.offset, record.streamTime)
    this.#reader.add(record)
  }

  /** `isCut`: everything up to the committed head may have expired from the topic; it was accepted all the same. */
  finish(log: EnrichedPartition, isCut: boolean): PartitionPoint {
    if (this.#head < this.#committedHead && !isCut) {
      throw new PositionLost(
        `hits.enriched-${log.partition}: the chain ends at ${this.#head}, but ${this.#committedHead} was committed as accepted`,
      )
    }
    this.#state.settle()
    const head = Math.max(this.#head, this.#committedHead)
    return { state: this.#state, accepted: this.#accepted, head, nextRaw: this.#nextRaw, rows: this.#rows }
  }

  #headFor(before: ReadonlySet<number> | null): number {
    return before === null ? this.#head : Math.max(this.#head, this.#committedHead)
  }
}

/**
 * The accepted records that are still there up to `head`, found backwards: the start of the chain has expired. Their
 * `prev` leads from one to the next.
 */
async function backFrom(log: EnrichedPartition, head: number): Promise<Set<number>> {
  const prevOf = new Map<number, number>()
  for await (const stored of records(log, log.low, head + 1)) {
    const record = tryDecode(stored)
    if (record !== null) prevOf.set(stored.offset, record.prev)
  }
  const accepted = new Set<number>()
  for (let offset = head; prevOf.has(offset); offset = prevOf.get(offset)!) accepted.add(offset)
  return accepted
}

interface Candidate {
  head: number
  srcTo: number
  from: number
}

/**
 * Without a commit: follows every chain that begins at or before the oldest record, and takes the one that reaches the
 * highest raw offset. Its last record says where a restore has to start.
 */
async function findHead(log: EnrichedPartition): Promise<CommittedHead> {
  const byHead = new Map<number, Candidate>()
  const begun = new Set<number>()
  let best: Candidate = { head: -1, srcTo: -1, from: -1 }
  for await (const stored of records(log, log.low, log.end)) {
    const record = tryDecode(stored)
    if (record === null) continue
    const { prev, srcTo, from } = record
    const isStart = prev < log.low && !begun.has(prev)
    if (!isStart && !byHead.has(prev)) continue
    if (isStart) begun.add(prev)
    byHead.delete(prev)
    const candidate = { head: stored.offset, srcTo, from }
    byHead.set(stored.offset, candidate)
    if (srcTo > best.srcTo) best = candidate
  }
  return { head: best.head, from: best.from }
}

async function* records(
  { reader, partition, signal }: EnrichedPartition,
  from: number,
  to: number,
): AsyncIterable<StoredRecord> {
  if (from >= to) return
  for await (const batch of reader.read(HITS_ENRICHED.name, partition, from, to)) {
    signal?.throwIfAborted()
    yield* batch
  }
}
