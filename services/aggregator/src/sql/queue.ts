import { refusal } from './refusal.ts'

/** How many run and wait. */
export interface QueueLimits {
  readonly atOnce: number
  readonly waiting: number
  readonly waitMs: number
}

/** Nobody took the statement: it may be sent again. */
export class Busy extends Error {
  override readonly name = 'Busy'
  /** 429 when the queue is full, 503 when the turn did not come in time. */
  readonly status: 429 | 503
  constructor(status: 429 | 503) {
    super(status === 429 ? 'Too many statements wait already' : 'Other statements took too long')
    this.status = status
  }
}

/** A few at once, a few more wait for so long. */
export class Queue {
  readonly #limits: QueueLimits
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(limits: QueueLimits) {
    this.#limits = limits
  }

  /** Runs `work` in its turn. @throws Busy; the signal's reason when it is aborted before */
  async inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted()
    if (this.#running < this.#limits.atOnce) this.#running++
    else await this.#turn(signal)
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Resolves when the place of one that ends is handed on. */
  async #turn(signal: AbortSignal): Promise<void> {
    if (this.#waiting.length >= this.#limits.waiting) throw new Busy(429)
    await new Promise<void>((resolve, reject) => {
      const leave = (reason: unknown): void => {
        this.#waiting.splice(this.#waiting.indexOf(go), 1)
        done()
        reject(reason)
      }
      const timer = setTimeout(() => leave(new Busy(503)), this.#limits.waitMs)
      const onAbort = (): void => leave(signal.reason)
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      const go = (): void => {
        done()
        resolve()
      }
      signal.addEventListener('abort', onAbort, { once: true })
      this.#waiting.push(go)
    })
  }
}

/** Of ClickHouse, for a Busy. */
export const busyRefusal = (busy: Busy) => refusal('TOO_MANY_SIMULTANEOUS_QUERIES', `${busy.message}: try again later`)
