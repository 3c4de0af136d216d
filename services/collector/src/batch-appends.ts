import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises'
import { AppendRefused, type LogProducer, type LogRecord } from '@millrace/log'
import { MillraceError } from '@millrace/shared'
import type { Facts } from './facts.ts'
import { addLine, type RecordDrafts, textOf } from './record-drafts.ts'
import type { CrowdedSink } from './share-fairly.ts'
import type { Gate } from './spool/drain-spool.ts'
import type { Doubt } from './spool/spool.ts'
import type { PartitionLine } from './stamp-lines.ts'

export interface BatchLimits {
  /** Under load an append starts at most this often; the first one after a pause starts at once. */
  readonly lingerMs: number
  /** A batch of this size waits for nothing more. */
  readonly maxBatchBytes: number
  /** Lines that are not yet durable, in bytes: beyond it hits are refused (`overloaded`). */
  readonly maxInFlightBytes: number
  /** Hits that the log has not taken after this time go to the spool. */
  readonly spoolAfterMs: number
  /** Without a spool: senders are told `log_unavailable` when the log has not taken their hits after this time. */
  readonly giveUpMs: number
}

export const DEFAULT_LIMITS: BatchLimits = {
  lingerMs: 4,
  maxBatchBytes: 512 * 1024,
  maxInFlightBytes: 64 * 1024 * 1024,
  spoolAfterMs: 300,
  giveUpMs: 5_000,
}

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

/** Where lines go that the log does not take. */
export interface Refuge {
  /** Lines wait there: newer ones must come behind them. */
  readonly occupied: boolean
  /** Resolves when they are durable. @throws MillraceError when it cannot have them */
  put(lines: readonly PartitionLine[], doubt?: Doubt): Promise<void>
}

export interface BatchedSink extends CrowdedSink, Gate {
  /** Appends what is queued, without waiting for more. Resolves when every put() has its answer; later ones are refused. */
  close(): Promise<void>
}

/** What goes out in one append; all who wait for it share one promise. */
interface Batch {
  readonly drafts: RecordDrafts
  /** The same lines in the order of their arrival. */
  readonly lines: PartitionLine[]
  readonly durable: Promise<void>
  readonly succeed: () => void
  readonly fail: (error: MillraceError) => void
  bytes: number
  hits: number
  /** Its lines went to the refuge. */
  diverted: boolean
  /** The waiting have their answer. */
  settled: boolean
  deadline: NodeJS.Timeout | undefined
}

/** The append that is in flight. */
interface Append {
  readonly batch: Batch
  /** By performance.now(). */
  readonly startedAt: number
  /** Never rejects: whether the log acknowledged it. */
  readonly outcome: Promise<boolean>
}

/**
 * Gathers lines into appends, one at a time: what arrives during an append goes into the next.
 *
 * With a refuge: what the log has not acknowledged in time, or has failed, goes there, and all that comes after it, until
 * the refuge is empty. Without: a failed append is repeated with identical bytes before anything newer, and when its
 * senders were told `log_unavailable` in between, newer ones are told so at once.
 */
export function batchAppends(
  producer: LogProducer,
  topic: string,
  limits: BatchLimits,
  facts: Facts,
  refuge: Refuge | null = null,
): BatchedSink {
  /** Batches that wait, oldest first; lines join the last. */
  const queue: Batch[] = []
  let appending = false
  let current: Append | undefined
  /** No append begins: the refuge is about to become empty. */
  let held = false
  let inFlightBytes = 0
  let unanswered = 0
  let lastStart = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let closing: { resolve: () => void; promise: Promise<void> } | undefined
  let tellRoom = (): void => undefined

  function put(lines: readonly PartitionLine[]): Promise<void> {
    if (closing) return Promise.reject(new MillraceError('shutting_down', 'The collector is shutting down.'))
    if (!refuge && isStuck()) return Promise.reject(unavailable())
    if (inFlightBytes >= limits.maxInFlightBytes) {
      return Promise.reject(new MillraceError('overloaded', 'Too many hits wait for the log.'))
    }
    if (refuge?.occupied && !held) return putInto(refuge, lines)
    const batch = openBatch()
    for (const line of lines) {
      const bytes = addLine(batch.drafts, line)
      batch.lines.push(line)
      batch.bytes += bytes
      batch.hits += line.hits
      inFlightBytes += bytes
    }
    facts.inFlightBytes(inFlightBytes)
    schedule()
    return batch.durable
  }

  async function putInto(spool: Refuge, lines: readonly PartitionLine[]): Promise<void> {
    const bytes = lines.reduce((sum, { text }) => sum + text.length, 0)
    open(bytes)
    try {
      await spool.put(lines)
    } finally {
      answered(bytes)
    }
  }

  function open(bytes: number): void {
    unanswered++
    inFlightBytes += bytes
    facts.inFlightBytes(inFlightBytes)
  }

  function answered(bytes: number): void {
    unanswered--
    inFlightBytes -= bytes
    facts.inFlightBytes(inFlightBytes)
    if (closing && unanswered === 0) closing.resolve()
    tellRoom()
  }

  /** The log has not taken a batch by its deadline: until it does, nothing newer can be asked of it. */
  const isStuck = (): boolean => current?.batch.settled === true

  function openBatch(): Batch {
    const last = queue.at(-1)
    if (last && last.bytes < limits.maxBatchBytes) return last
    const batch = newBatch()
    batch.deadline = setTimeout(() => late(batch), refuge ? limits.spoolAfterMs : limits.giveUpMs)
    queue.push(batch)
    open(0)
    return batch
  }

  function late(batch: Batch): void {
    facts.logAnswers(false)
    if (refuge) divert(refuge)
    else settle(batch, unavailable())
  }

  /** What is in flight goes to the refuge, for nobody knows what becomes of it; behind it all that waits. */
  function divert(spool: Refuge): void {
    held = false
    if (current && !current.batch.diverted && !current.batch.settled) {
      const { batch, startedAt, outcome } = current
      divertBatch(spool, batch, { agoMs: performance.now() - startedAt, outcome })
    }
    for (const batch of queue.splice(0)) divertBatch(spool, batch)
  }

  function divertBatch(spool: Refuge, batch: Batch, doubt?: Doubt): void {
    batch.diverted = true
    clearTimeout(batch.deadline)
    spool.put(batch.lines, doubt).then(
      () => settle(batch, null),
      (error: MillraceError) => settle(batch, error),
    )
  }

  function schedule(): void {
    if (appending || held || queue.length === 0) return
    const due = queue[0]!.bytes >= limits.maxBatchBytes || closing !== undefined ? 0 : lastStart + limits.lingerMs
    const waitMs = due - performance.now()
    if (waitMs <= 0) {
      clearTimeout(timer)
      timer = undefined
      appending = true
      // After the requests of this turn of the event loop have joined.
      setImmediate(appendNext)
    } else {
      timer ??= setTimeout(() => {
        timer = undefined
        schedule()
      }, waitMs)
    }
  }

  async function appendNext(): Promise<void> {
    const batch = queue.shift()
    if (batch) {
      lastStart = performance.now()
      const done = append(batch)
      current = { batch, startedAt: lastStart, outcome: done.then((error) => error === null) }
      const error = await done
      if (error === null) facts.logAnswers(true)
      else if (refuge && !(error instanceof MillraceError)) divert(refuge)
      current = undefined
      appending = false
      if (error === null || (error instanceof MillraceError && !batch.diverted)) settle(batch, error)
    }
    appending = false
    schedule()
  }

  /**
   * null = durable, MillraceError = refused or given up, other errors = in doubt. Without a refuge it goes on also when
   * nobody waits any more: its success is what tells that the log takes hits again.
   */
  async function append(batch: Batch): Promise<Error | null> {
    const records = encode(batch.drafts)
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      const startedAt = performance.now()
      try {
        await producer.append(topic, records)
        facts.appended(batch.hits, performance.now() - startedAt)
        return null
      } catch (error) {
        const retry = !(error instanceof AppendRefused) && !(closing && batch.settled)
        facts.appendFailed(error, retry)
        if (!retry) return unavailable()
        if (refuge) return error as Error
      }
      await sleep(pauseMs)
    }
  }

  /** Answers the waiting, once. */
  function settle(batch: Batch, error: MillraceError | null): void {
    if (batch.settled) return
    batch.settled = true
    clearTimeout(batch.deadline)
    const waiting = queue.indexOf(batch)
    if (waiting >= 0) queue.splice(waiting, 1)
    if (error) batch.fail(error)
    else batch.succeed()
    answered(batch.bytes)
  }

  async function idle(): Promise<void> {
    while (appending) await (current?.outcome ?? nextTurn())
  }

  function hold(): void {
    held = true
  }

  function release(): void {
    held = false
    schedule()
  }

  function close(): Promise<void> {
    if (!closing) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      closing = { resolve, promise }
      if (unanswered === 0) resolve()
      else if (held && refuge) divert(refuge)
      else schedule()
    }
    return closing.promise
  }

  function onRoom(listener: () => void): void {
    tellRoom = listener
  }

  return { put, close, idle, hold, release, inFlightBytes: () => inFlightBytes, onRoom }
}

const unavailable = (): MillraceError => new MillraceError('log_unavailable', 'The log does not take hits now.')

function newBatch(): Batch {
  let succeed = (): void => undefined
  let fail = (_error: MillraceError): void => undefined
  const durable = new Promise<void>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  return {
    drafts: new Map(),
    lines: [],
    durable,
    succeed,
    fail,
    bytes: 0,
    hits: 0,
    diverted: false,
    settled: false,
    deadline: undefined,
  }
}

function encode(drafts: RecordDrafts): Map<number, LogRecord[]> {
  const records = new Map<number, LogRecord[]>()
  for (const [partition, list] of drafts) {
    records.set(
      partition,
      list.map((draft) => ({ value: Buffer.from(textOf(draft)) })),
    )
  }
  return records
}
