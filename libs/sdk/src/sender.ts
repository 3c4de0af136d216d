import { type Answer, post, TimedOut } from './fetch.ts'
import { Flushes } from './flushes.ts'
import { gzip } from './gzip.ts'
import { HitQueue, type Waiting } from './hit-queue.ts'
import type { SentHit } from './hits.ts'
import { type Answered, isTooMuch, judge, refusalOf, type Verdict } from './judge.ts'
import type { DropReason, SendingOptions, Service } from './options.ts'
import { retryDelay } from './retry-delay.ts'
import { numberOf } from './service.ts'
import type { Outcomes } from './tell.ts'
import { startTimer } from './timer.ts'

/** Limits of POST /v1/hits. A test compares them with the service's. */
export const MAX_HITS = 100
export const MAX_BYTES = 64 * 1024
/** `{"sent_at":1795219200123,"hits":[` and `]}`, and room for some more digits. */
const ENVELOPE_BYTES = 48
/** The service knows an id for an hour: a later repetition would count twice. */
const MOST_RETRY_FOR_MS = 55 * 60_000

/** How long an aborted request may take to notice. */
const ABORT_MS = 1_000

interface Pace {
  readonly batchHits: number
  readonly lingerMs: number
  readonly maxRequests: number
  readonly backoff: { readonly minMs: number; readonly maxMs: number }
  readonly retryForMs: number
}

/**
 * Sends hits in batches. After a failure it waits, with one request at a time, until the service answers again. A batch
 * whose answer is lost is sent again with the same ids, so that it counts once.
 */
export class Sender {
  readonly #service: Service
  readonly #outcomes: Outcomes
  readonly #queue: HitQueue
  readonly #pace: Pace
  readonly #flushes = new Flushes()
  readonly #abort = new AbortController()
  #batchBytes = MAX_BYTES - ENVELOPE_BYTES
  #compress: boolean
  #requests = 0
  #lastNumber = 0
  #closed = false
  #pumpIsDue = false
  /** Failures in a row. */
  #failures = 0
  /** No request before this time; `asked` = the service wants it so. */
  #pausedUntil = 0
  #pauseWasAsked = false
  #wake: { readonly at: number; readonly cancel: () => void } | null = null

  constructor(service: Service, options: SendingOptions, outcomes: Outcomes) {
    this.#service = service
    this.#outcomes = outcomes
    this.#compress = options.compress ?? true
    this.#queue = new HitQueue({
      hits: numberOf('maxQueueHits', options.maxQueueHits, 10_000),
      bytes: numberOf('maxQueueBytes', options.maxQueueBytes, 8 * 1024 * 1024),
    })
    this.#pace = {
      batchHits: Math.ceil(numberOf('batchHits', options.batchHits, MAX_HITS, 1, MAX_HITS)),
      lingerMs: numberOf('lingerMs', options.lingerMs, 500, 0),
      maxRequests: numberOf('maxRequests', options.maxRequests, 4),
      backoff: {
        minMs: numberOf('backoffMinMs', options.backoffMinMs, 500, 0),
        maxMs: numberOf('backoffMaxMs', options.backoffMaxMs, 30_000, 0),
      },
      retryForMs: numberOf('retryForMs', options.retryForMs, 45 * 60_000, 1, MOST_RETRY_FOR_MS),
    }
  }

  get queued(): number {
    return this.#queue.hits
  }
  get queuedBytes(): number {
    return this.#queue.bytes
  }

  /** Queues a hit, or drops it with a reason. @throws what JSON.stringify throws */
  put(hit: SentHit): void {
    const reason = this.#enqueue(hit)
    if (reason === null) this.#pumpSoon()
    else this.#outcomes.dropped(hit, reason)
  }

  /** Once for all hits of one turn of the event loop, so that they share requests. */
  #pumpSoon(): void {
    if (this.#pumpIsDue) return
    this.#pumpIsDue = true
    queueMicrotask(() => {
      this.#pumpIsDue = false
      this.#pump()
    })
  }

  /** Null = it is in the queue. */
  #enqueue(hit: SentHit): DropReason | null {
    if (this.#closed) return 'closed'
    const json = JSON.stringify(hit)
    const bytes = utf8Length(json)
    if (bytes > MAX_BYTES - ENVELOPE_BYTES) return 'too_large'
    const number = this.#lastNumber + 1
    const waiting = { id: hit.hit_id, json, bytes, number, since: now(), firstSentAt: 0 }
    if (!this.#queue.offer(waiting)) return 'queue_full'
    this.#lastNumber = number
    return null
  }

  /** True when all hits that were queued before the call are settled; false when that takes longer. */
  flush(timeoutMs: number): Promise<boolean> {
    const waiting = this.#flushes.wait(this.#queue.hits, this.#lastNumber, timeoutMs)
    this.#pump()
    return waiting
  }

  /** Takes no more hits, sends what waits, drops what is left after `timeoutMs`. */
  async close(timeoutMs: number): Promise<boolean> {
    this.#closed = true
    // One last try at once, unless the service asked to be left alone.
    if (!this.#pauseWasAsked) this.#pausedUntil = 0
    const complete = await this.flush(timeoutMs)
    this.#abort.abort(new Error('closed'))
    for (let left = this.#take(); left.length > 0; left = this.#take()) this.#drop(left, 'closed')
    this.#wake?.cancel()
    // Requests that were under way end now: what they carried is told of before this is over.
    await this.#flushes.wait(this.#queue.hits, this.#lastNumber, ABORT_MS)
    return complete
  }

  /** Sends whatever is due; else wakes up when something will be. */
  #pump(): void {
    while (!this.#abort.signal.aborted) {
      const { first } = this.#queue
      if (!first || this.#requests >= (this.#failures > 0 ? 1 : this.#pace.maxRequests)) return
      const due = this.#isDue() ? this.#pausedUntil : Math.max(this.#pausedUntil, first.since + this.#pace.lingerMs)
      if (due > now()) {
        this.#wakeAt(due)
        return
      }
      const batch = this.#withoutExpired(this.#take())
      if (batch.length > 0) void this.#send(batch)
    }
  }

  #isDue(): boolean {
    return this.#flushes.any || this.#queue.fills(this.#pace.batchHits, this.#batchBytes)
  }

  #wakeAt(at: number): void {
    if (this.#wake && this.#wake.at <= at) return
    this.#wake?.cancel()
    const cancel = startTimer(
      () => {
        this.#wake = null
        this.#pump()
      },
      Math.ceil(at - now()),
    )
    this.#wake = { at, cancel }
  }

  #take(): Waiting[] {
    return this.#queue.take(this.#pace.batchHits, this.#batchBytes)
  }

  /** Also after a process was frozen, when no timer ran for hours. */
  #withoutExpired(batch: Waiting[]): Waiting[] {
    const since = Date.now() - this.#pace.retryForMs
    const expired = batch.filter(({ firstSentAt }) => firstSentAt > 0 && firstSentAt < since)
    if (expired.length === 0) return batch
    this.#drop(expired, 'expired')
    return batch.filter((hit) => !expired.includes(hit))
  }

  /** One request and what comes of it. Never rejects. */
  async #send(batch: Waiting[]): Promise<void> {
    this.#requests++
    const failuresBefore = this.#failures
    const verdict = await this.#request(batch)
    this.#requests--
    if (verdict.kind === 'retry') this.#retry(batch, verdict, failuresBefore)
    else {
      this.#failures = 0
      this.#conclude(batch, verdict)
    }
    this.#pump()
  }

  async #request(batch: readonly Waiting[]): Promise<Verdict> {
    const { url, headers, timeoutMs, fetch } = this.#service
    try {
      const sentAt = Date.now()
      for (const hit of batch) hit.firstSentAt ||= sentAt
      const text = `{"sent_at":${sentAt},"hits":[${batch.map(({ json }) => json).join()}]}`
      const packed = this.#compress ? await gzip(text) : null
      const answer: Answer = await post(`${url}/v1/hits`, {
        fetch,
        headers: packed ? { ...headers, 'content-encoding': 'gzip' } : headers,
        body: packed ?? text,
        timeoutMs,
        signal: this.#abort.signal,
      })
      return this.#second(judge(answer, Date.now()), answer, batch, packed !== null)
    } catch (error) {
      const reason = error instanceof TimedOut ? 'timeout' : 'network'
      return { kind: 'retry', reason, busy: true, retryAfterMs: undefined }
    }
  }

  /** What cannot be helped by a smaller or a plain request is a refusal. */
  #second(verdict: Verdict, { status, body }: Answer, batch: readonly Waiting[], packed: boolean): Verdict {
    const helpless =
      (verdict.kind === 'too_large' && batch.length === 1) || (verdict.kind === 'encoding_unsupported' && !packed)
    if (!helpless) return verdict
    const otherwise = refusalOf((body ?? {}) as object, status)
    return { kind: 'answered', refused: new Map(), ignored: new Map(), otherwise, retryAfterMs: undefined }
  }

  #conclude(batch: readonly Waiting[], verdict: Exclude<Verdict, { kind: 'retry' }>): void {
    if (verdict.kind === 'answered') {
      this.#answered(batch, verdict)
      return
    }
    // Something on the way takes less than the service does.
    if (verdict.kind === 'encoding_unsupported') this.#compress = false
    else this.#batchBytes = Math.ceil(batch.reduce((sum, { bytes }) => sum + bytes, 0) / 2)
    this.#queue.giveBack(batch)
  }

  #answered(batch: readonly Waiting[], { refused, ignored, otherwise, retryAfterMs }: Answered): void {
    const delivered: Waiting[] = []
    const again: Waiting[] = []
    const ends: (() => void)[] = []
    for (const [i, hit] of batch.entries()) {
      const reason = ignored.get(i)
      const refusal = refused.get(i) ?? otherwise
      if (reason !== undefined) ends.push(() => this.#outcomes.ignored(hit, reason))
      else if (refusal === null) delivered.push(hit)
      else if (isTooMuch(refusal)) again.push(hit)
      else ends.push(() => this.#outcomes.refused(hit, refusal))
    }
    this.#settle(batch.filter((hit) => !again.includes(hit)))
    this.#outcomes.delivered(delivered)
    for (const tell of ends) tell()
    if (again.length > 0) this.#retry(again, { reason: 'rate_limited', busy: true, retryAfterMs }, this.#failures)
  }

  #retry(
    batch: readonly Waiting[],
    { reason, busy, retryAfterMs }: Omit<Extract<Verdict, { kind: 'retry' }>, 'kind'>,
    failuresBefore: number,
  ): void {
    if (this.#abort.signal.aborted) {
      this.#drop(batch, 'closed')
      return
    }
    // Requests that fail together are one failure.
    this.#failures = Math.max(this.#failures, failuresBefore + 1)
    const delayMs = retryDelay(this.#failures, this.#pace.backoff, retryAfterMs, Math.random())
    const until = now() + delayMs
    if (until > this.#pausedUntil) {
      this.#pausedUntil = until
      this.#pauseWasAsked = retryAfterMs !== undefined
    }
    // A batch that breaks the service must not stand in front of all others.
    this.#queue.giveBack(batch, !busy)
    this.#outcomes.retried({ reason, hits: batch.length, failures: this.#failures, delayMs })
  }

  #drop(batch: readonly Waiting[], reason: 'closed' | 'expired'): void {
    this.#settle(batch)
    for (const hit of batch) this.#outcomes.dropped(hit, reason)
  }

  #settle(batch: readonly Waiting[]): void {
    this.#queue.settle(batch)
    this.#flushes.settle(batch)
  }
}

/** A clock that nobody sets, for waits. */
const now = (): number => performance.now()

/** Bytes in UTF-8 of JSON, which holds no lone surrogates. */
function utf8Length(json: string): number {
  let bytes = json.length
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i)
    if (code >= 0x80) bytes += code < 0x800 || (code >= 0xd800 && code < 0xe000) ? 1 : 2
  }
  return bytes
}
