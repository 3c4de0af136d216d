import { setTimeout as sleep } from 'node:timers/promises'
import { AppendRefused, type LogProducer, type LogRecord } from '@millrace/log'
import { MillraceError, RAW_RECORD_MAX_BYTES, RAW_RECORD_MAX_HITS } from '@millrace/shared'
import type { Facts } from './facts.ts'
import type { HitSink } from './hit-sink.ts'
import type { PartitionLine } from './stamp-lines.ts'

export interface BatchLimits {
  /** Under load an append starts at most this often; the first one after a pause starts at once. */
  readonly lingerMs: number
  /** A batch of this size waits for nothing more. */
  readonly maxBatchBytes: number
  /** Lines that are not yet durable, in bytes: beyond it hits are refused (`overloaded`). */
  readonly maxInFlightBytes: number
  /** Senders are told `log_unavailable` when the log has not taken their hits after this time. */
  readonly giveUpMs: number
}

export const DEFAULT_LIMITS: BatchLimits = {
  lingerMs: 4,
  maxBatchBytes: 512 * 1024,
  maxInFlightBytes: 64 * 1024 * 1024,
  giveUpMs: 5_000,
}

const FIRST_PAUSE_MS = 20
const LONGEST_PAUSE_MS = 500

export interface BatchedSink extends HitSink {
  /** Appends what is queued, without waiting for more. Resolves when every put() has its answer; later ones are refused. */
  close(): Promise<void>
}

/** A record in the making: lines that end with LF, within the limits of a record. */
interface Draft {
  readonly lines: string[]
  bytes: number
  hits: number
}

/** What goes out in one append; all who wait for it share one promise. */
interface Batch {
  readonly drafts: Map<number, Draft[]>
  readonly durable: Promise<void>
  readonly succeed: () => void
  readonly fail: (error: MillraceError) => void
  bytes: number
  hits: number
  /** The waiting have their answer. */
  settled: boolean
  deadline: NodeJS.Timeout | undefined
}

/**
 * Gathers lines into appends, one at a time: what arrives during an append goes into the next. A failed append is
 * repeated with identical bytes before anything newer, and when its senders were told `log_unavailable` in between, newer
 * ones are told so at once.
 */
export function batchAppends(producer: LogProducer, topic: string, limits: BatchLimits, facts: Facts): BatchedSink {
  /** Batches that wait, oldest first; lines join the last. */
  const queue: Batch[] = []
  let appending = false
  /** The batch that is being appended. */
  let current: Batch | undefined
  let inFlightBytes = 0
  let lastStart = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let closing: { resolve: () => void; promise: Promise<void> } | undefined

  function put(lines: readonly PartitionLine[]): Promise<void> {
    if (closing) return Promise.reject(new MillraceError('shutting_down', 'The collector is shutting down.'))
    if (isStuck()) return Promise.reject(unavailable())
    if (inFlightBytes >= limits.maxInFlightBytes) {
      return Promise.reject(new MillraceError('overloaded', 'Too many hits wait for the log.'))
    }
    const batch = openBatch()
    for (const line of lines) inFlightBytes += addLine(batch, line)
    facts.inFlightBytes(inFlightBytes)
    schedule()
    return batch.durable
  }

  /** The log has not taken a batch by its deadline: until it does, nothing newer can be asked of it. */
  const isStuck = (): boolean => current?.settled === true

  function openBatch(): Batch {
    const last = queue.at(-1)
    if (last && last.bytes < limits.maxBatchBytes) return last
    const batch = newBatch()
    batch.deadline = setTimeout(() => {
      facts.logAnswers(false)
      settle(batch, unavailable())
    }, limits.giveUpMs)
    queue.push(batch)
    return batch
  }

  function schedule(): void {
    if (appending || queue.length === 0) return
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
      current = batch
      lastStart = performance.now()
      const error = await append(batch)
      current = undefined
      if (error === null) facts.logAnswers(true)
      appending = false
      settle(batch, error)
    }
    appending = false
    schedule()
  }

  /** Goes on also when nobody waits any more: its success is what tells that the log takes hits again. */
  async function append(batch: Batch): Promise<MillraceError | null> {
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
      }
      await sleep(pauseMs)
    }
  }

  /** Answers the waiting, once. */
  function settle(batch: Batch, error: MillraceError | null): void {
    if (batch.settled) return
    batch.settled = true
    clearTimeout(batch.deadline)
    inFlightBytes -= batch.bytes
    facts.inFlightBytes(inFlightBytes)
    const waiting = queue.indexOf(batch)
    if (waiting >= 0) queue.splice(waiting, 1)
    if (error) batch.fail(error)
    else batch.succeed()
    if (closing && queue.length === 0 && (!appending || isStuck())) closing.resolve()
  }

  function close(): Promise<void> {
    if (!closing) {
      let resolve = (): void => undefined
      const promise = new Promise<void>((done) => {
        resolve = done
      })
      closing = { resolve, promise }
      if (queue.length === 0 && (!appending || isStuck())) resolve()
      else schedule()
    }
    return closing.promise
  }

  return { put, close }
}

const unavailable = (): MillraceError => new MillraceError('log_unavailable', 'The log does not take hits now.')

function newBatch(): Batch {
  let succeed = (): void => undefined
  let fail = (_error: MillraceError): void => undefined
  const durable = new Promise<void>((resolve, reject) => {
    succeed = resolve
    fail = reject
  })
  return { drafts: new Map(), durable, succeed, fail, bytes: 0, hits: 0, settled: false, deadline: undefined }
}

/** Adds a line to the batch's last record of its partition, or to a new one where that is full. Returns its bytes. */
function addLine(batch: Batch, { partition, text, hits }: PartitionLine): number {
  const bytes = Buffer.byteLength(text) + 1
  let drafts = batch.drafts.get(partition)
  if (!drafts) {
    drafts = []
    batch.drafts.set(partition, drafts)
  }
  let draft = drafts.at(-1)
  if (!draft || draft.bytes + bytes > RAW_RECORD_MAX_BYTES || draft.hits + hits > RAW_RECORD_MAX_HITS) {
    draft = { lines: [], bytes: 0, hits: 0 }
    drafts.push(draft)
  }
  draft.lines.push(text)
  draft.bytes += bytes
  draft.hits += hits
  batch.bytes += bytes
  batch.hits += hits
  return bytes
}

function encode(drafts: ReadonlyMap<number, readonly Draft[]>): Map<number, LogRecord[]> {
  const records = new Map<number, LogRecord[]>()
  for (const [partition, list] of drafts) {
    records.set(
      partition,
      list.map(({ lines }) => ({ value: Buffer.from(`${lines.join('\n')}\n`) })),
    )
  }
  return records
}
