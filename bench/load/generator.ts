import { type Answer, Connection } from './connection.ts'
import { JournalWriter } from './journal.ts'
import { Latencies } from './latencies.ts'
import { maxRequestBytes, RequestMaker } from './requests.ts'

export interface LoadOptions {
  /** `http://127.0.0.1:8700`: loopback only. */
  readonly url: string
  readonly connections: number
  /** Open loop: hits per second, sent when due whether or not earlier ones were answered. 0 = as fast as answers come. */
  readonly rate: number
  /** Each request takes one of these at random. */
  readonly hitsPerRequest: readonly number[]
  /** The run ends after this time or number of hits, whichever comes first. */
  readonly seconds: number
  readonly maxHits: number
  readonly seed: number
  readonly visitors: number
  readonly sites: readonly string[]
  /** Share of hits made long before they are sent. */
  readonly delayed: number
  /** Share of answered requests that are sent a second time. */
  readonly repeated: number
  /** Send requests without an answer, and those answered 408, 425, 429 or 5xx, again with the same ids, as real clients do. */
  readonly resend: boolean
  /** File that records every hit sent and answered; empty = none. */
  readonly journal: string
}

export const LOAD_DEFAULTS: LoadOptions = {
  url: 'http://127.0.0.1:8700',
  connections: 32,
  rate: 0,
  hitsPerRequest: [1],
  seconds: 10,
  maxHits: 4_000_000_000,
  seed: 1,
  visitors: 20_000,
  sites: ['shop', 'blog', 'docs'],
  delayed: 0,
  repeated: 0,
  resend: true,
  journal: '',
}

/**
 * Counts since the start. Latencies are microseconds from when a request was due to its answer: since the last report, or
 * of the whole run in the last one.
 */
export interface LoadReport {
  readonly seconds: number
  readonly sentHits: number
  readonly answeredHits: number
  readonly answeredRequests: number
  readonly refusedHits: number
  /** Sent, neither answered nor to be sent again. */
  readonly unknownHits: number
  /** Hits sent again: after a lost connection, an answer that says so, or by `repeated`. */
  readonly resentHits: number
  /** Hits that were due while no connection was up, and were left out. */
  readonly skippedHits: number
  readonly lostConnections: number
  readonly statuses: Readonly<Record<string, number>>
  readonly p50Us: number
  readonly p99Us: number
  readonly maxUs: number
  /** CPU of the generator per request, microseconds. */
  readonly ownUsPerRequest: number
}

interface Waiting {
  readonly first: number
  readonly count: number
  readonly length: number
  readonly dueAt: number
  /** Sent although it was answered. */
  readonly again: boolean
}
interface Resend {
  readonly bytes: Buffer
  readonly waiting: Waiting
  readonly notBefore: number
}

const MAX_BACKLOG_MS = 1_000
const DRAIN_MS = 10_000
const MAX_RETRY_AFTER_MS = 1_000

/** Sends load until the run ends; then waits until everything under way is answered (at most 10 s). */
export class LoadGenerator {
  readonly #options: LoadOptions
  readonly #maker: RequestMaker
  readonly #journal: JournalWriter | undefined
  readonly #connections: Connection[]
  readonly #waiting = new Map<Connection, Waiting>()
  readonly #resends: Resend[] = []
  readonly #latencies = new Latencies()
  readonly #allLatencies = new Latencies()
  readonly #counts = { sent: 0, answered: 0, requests: 0, refused: 0, unknown: 0, resent: 0, skipped: 0, lost: 0 }
  readonly #statuses: Record<string, number> = {}
  readonly #startedAt = performance.now()
  readonly #startedCpu = process.cpuUsage()
  #nextDueAt = this.#startedAt
  #endsAt: number
  #timer: NodeJS.Timeout | undefined
  #finish: (() => void) | undefined
  /** Resolves when the run is over. */
  readonly done: Promise<LoadReport>

  constructor(options: LoadOptions) {
    const { hostname, port, host } = new URL(options.url)
    if (hostname !== '127.0.0.1' && hostname !== 'localhost') throw new Error('load is sent to loopback only')
    this.#options = options
    this.#endsAt = this.#startedAt + options.seconds * 1_000
    this.#maker = new RequestMaker({ ...options, host })
    this.#journal = options.journal ? new JournalWriter(options.journal, options.seed) : undefined
    const bytes = maxRequestBytes(Math.max(...options.hitsPerRequest))
    const events = {
      onReady: (connection: Connection) => this.#fill(connection),
      onAnswer: (connection: Connection, answer: Answer) => this.#onAnswer(connection, answer),
      onLost: (connection: Connection) => this.#onLost(connection),
    }
    this.#connections = Array.from(
      { length: options.connections },
      () => new Connection(hostname, Number(port), bytes, events),
    )
    this.done = new Promise<void>((resolve) => {
      this.#finish = resolve
    }).then(() => this.#reportOf(this.#allLatencies))
    // Without a rate, answers drive the load; the timer only ends the run and sends what waits to be sent again.
    this.#timer = setInterval(() => this.#tick(), options.rate > 0 ? 1 : 20)
  }

  /** Sends nothing new from now on. */
  stop(): void {
    this.#endsAt = Math.min(this.#endsAt, performance.now())
  }

  /** Counts so far; begins a new interval of latencies. */
  report(): LoadReport {
    const report = this.#reportOf(this.#latencies)
    this.#latencies.clear()
    return report
  }

  #reportOf(latencies: Latencies): LoadReport {
    const { user, system } = process.cpuUsage(this.#startedCpu)
    const counts = this.#counts
    return {
      seconds: (performance.now() - this.#startedAt) / 1_000,
      sentHits: counts.sent,
      answeredHits: counts.answered,
      answeredRequests: counts.requests,
      refusedHits: counts.refused,
      unknownHits: counts.unknown,
      resentHits: counts.resent,
      skippedHits: Math.round(counts.skipped),
      lostConnections: counts.lost,
      statuses: { ...this.#statuses },
      p50Us: latencies.quantileUs(0.5),
      p99Us: latencies.quantileUs(0.99),
      maxUs: latencies.maxUs,
      ownUsPerRequest: (user + system) / Math.max(1, counts.requests),
    }
  }

  #over(now: number): boolean {
    return now >= this.#endsAt || this.#counts.sent >= this.#options.maxHits
  }

  #tick(): void {
    const now = performance.now()
    if (this.#over(now)) {
      this.stop()
      if (this.#idle() || now > this.#endsAt + DRAIN_MS) {
        this.#end()
        return
      }
    }
    const interval = this.#options.rate > 0 ? 1_000 / this.#options.rate : 0
    if (interval > 0 && now - this.#nextDueAt > MAX_BACKLOG_MS) {
      this.#counts.skipped += (now - this.#nextDueAt) / interval
      this.#nextDueAt = now
    }
    for (const connection of this.#connections) {
      if (connection.ready && !this.#fill(connection)) break
    }
  }

  #idle(): boolean {
    return this.#waiting.size === 0 && this.#resends.length === 0
  }

  #end(): void {
    clearInterval(this.#timer)
    for (const { count } of [...this.#waiting.values(), ...this.#resends.map(({ waiting }) => waiting)]) {
      this.#counts.unknown += count
    }
    for (const connection of this.#connections) connection.close()
    this.#journal?.close()
    this.#finish?.()
  }

  /** Sends what is due on an idle connection; false when nothing is. */
  #fill(connection: Connection): boolean {
    const now = performance.now()
    const resend = this.#resends[0]
    if (resend && resend.notBefore <= now) {
      this.#resends.shift()
      resend.bytes.copy(connection.request)
      this.#counts.resent += resend.waiting.count
      this.#send(connection, resend.waiting)
      return true
    }
    if (this.#over(now)) return false
    const { rate, hitsPerRequest } = this.#options
    if (rate > 0 && this.#nextDueAt > now) return false
    const count = hitsPerRequest[Math.floor(Math.random() * hitsPerRequest.length)]!
    const dueAt = rate > 0 ? this.#nextDueAt : now
    this.#nextDueAt += rate > 0 ? (count * 1_000) / rate : 0
    const first = this.#counts.sent
    this.#counts.sent += count
    this.#journal?.add('sent', first, count)
    const length = this.#maker.write(connection.request, first, count, Date.now())
    this.#send(connection, { first, count, length, dueAt, again: false })
    return true
  }

  #send(connection: Connection, waiting: Waiting): void {
    this.#waiting.set(connection, waiting)
    connection.send(waiting.length)
  }

  #onAnswer(connection: Connection, answer: Answer): void {
    const waiting = this.#waiting.get(connection)
    if (!waiting) {
      // A server may say 408 on an idle connection before it closes it.
      connection.reconnect()
      return
    }
    this.#waiting.delete(connection)
    const now = performance.now()
    this.#statuses[answer.status] = (this.#statuses[answer.status] ?? 0) + 1
    if (isTryAgain(answer.status) && this.#options.resend) {
      this.#again(connection, waiting, now + Math.min(answer.retryAfter * 1_000, MAX_RETRY_AFTER_MS))
    } else if (!waiting.again) {
      const latencyUs = (now - waiting.dueAt) * 1_000
      this.#latencies.add(latencyUs)
      this.#allLatencies.add(latencyUs)
      this.#counts.requests += 1
      this.#record(waiting, answer)
      if (Math.random() < this.#options.repeated) this.#again(connection, { ...waiting, again: true }, now)
    }
    this.#fill(connection)
  }

  #again(connection: Connection, waiting: Waiting, notBefore: number): void {
    this.#resends.push({ bytes: Buffer.from(connection.request.subarray(0, waiting.length)), waiting, notBefore })
  }

  #record({ first, count }: Waiting, answer: Answer): void {
    const refused =
      answer.status === 202 ? refusedIndexes(answer.body, count) : Array.from({ length: count }, (_, i) => i)
    this.#counts.refused += refused.length
    this.#counts.answered += count - refused.length
    if (!this.#journal) return
    if (refused.length === 0) {
      this.#journal.add('answered', first, count)
      return
    }
    for (let i = 0; i < count; i++) this.#journal.add(refused.includes(i) ? 'refused' : 'answered', first + i, 1)
  }

  #onLost(connection: Connection): void {
    const waiting = this.#waiting.get(connection)
    if (!waiting) return
    this.#waiting.delete(connection)
    this.#counts.lost += 1
    if (this.#options.resend) this.#again(connection, waiting, performance.now())
    else if (!waiting.again) this.#counts.unknown += waiting.count
  }
}

/** What the SDK tries again too. */
const isTryAgain = (status: number): boolean => status === 408 || status === 425 || status === 429 || status >= 500

function refusedIndexes(body: string, count: number): number[] {
  if (body === `{"accepted":${count}}`) return []
  const { accepted, refused = [] } = JSON.parse(body) as { accepted: number; refused?: { index: number }[] }
  if (accepted + refused.length !== count) throw new Error(`of ${count} hits the answer speaks of others: ${body}`)
  return refused.map(({ index }) => index)
}
