import { createRequire, syncBuiltinESMExports } from 'node:module'

const realImmediate = globalThis.setImmediate
type Sleep = (ms: number, value?: unknown, options?: { signal?: AbortSignal }) => Promise<unknown>
const promises = createRequire(import.meta.url)('node:timers/promises') as { setTimeout: Sleep }

interface Due {
  readonly at: number
  readonly seq: number
  run: (() => void) | null
}

/** What a fake timer looks like to those who keep one. */
interface FakeTimer {
  due: Due
  ref(): FakeTimer
  unref(): FakeTimer
}

/**
 * Time that passes only when nothing else is left to do: everything that waits, the product's own timers included, waits
 * in one queue, and whatever is due next runs alone. A schedule of an hour takes milliseconds, and the same seed gives
 * the same schedule. Times are milliseconds; `now` is epoch milliseconds.
 */
export class VirtualTime {
  now: number
  #seq = 0
  readonly #startedAt: number
  readonly #queue: Due[] = []

  constructor(startMs: number) {
    this.now = startMs
    this.#startedAt = startMs
  }

  /** Milliseconds since the beginning. */
  get elapsed(): number {
    return this.now - this.#startedAt
  }

  after(ms: number, run: () => void): Due {
    const due = { at: this.now + Math.max(0, ms), seq: this.#seq++, run }
    push(this.#queue, due)
    return due
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve))
  }

  /** Runs what is due, one after the other, until `isDone`; false when that takes longer than `limitMs`. */
  async run(isDone: () => boolean, limitMs: number): Promise<boolean> {
    const end = this.now + limitMs
    while (!isDone()) {
      if (this.#queue.length === 0 || this.#queue[0]!.at > end) return false
      const due = pop(this.#queue)!
      if (due.run === null) continue
      this.now = due.at
      due.run()
      // Promises settle in between; nobody here waits for anything else.
      await new Promise((resolve) => realImmediate(resolve))
    }
    return true
  }

  /** Puts this time, and these dice, in the place of the real ones, in this thread; returns how to take them away again. */
  install(random: () => number): () => void {
    const real = {
      setTimeout: globalThis.setTimeout,
      clearTimeout: globalThis.clearTimeout,
      setInterval: globalThis.setInterval,
      clearInterval: globalThis.clearInterval,
    }
    const realNow = Date.now
    const realRandom = Math.random
    const clear = (timer: FakeTimer | undefined): void => {
      if (timer) timer.due.run = null
    }
    Object.assign(globalThis, {
      setTimeout: (run: () => void, ms = 0) => this.#timer(run, ms),
      setInterval: (run: () => void, ms = 0) => this.#interval(run, ms),
      clearTimeout: clear,
      clearInterval: clear,
    })
    Math.random = random
    Date.now = () => Math.floor(this.now)
    performance.now = () => this.elapsed
    sleepBy((ms, value, options) => this.#promised(ms, value, options))
    return () => {
      Object.assign(globalThis, real)
      Math.random = realRandom
      Date.now = realNow
      Reflect.deleteProperty(performance, 'now')
      sleepBy(realSleep)
    }
  }

  #timer(run: () => void, ms: number): FakeTimer {
    const timer: FakeTimer = { due: this.after(ms, run), ref: () => timer, unref: () => timer }
    return timer
  }

  /** `due` is always the next run, so that a clear in the middle of a run stops those after it. */
  #interval(run: () => void, ms: number): FakeTimer {
    const everyMs = Math.max(1, ms)
    const tick = (): void => {
      timer.due = this.after(everyMs, tick)
      run()
    }
    const timer: FakeTimer = { due: this.after(everyMs, tick), ref: () => timer, unref: () => timer }
    return timer
  }

  #promised(ms: number, value: unknown, { signal }: { signal?: AbortSignal } = {}): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        due.run = null
        reject(signal!.reason)
      }
      const due = this.after(ms, () => {
        signal?.removeEventListener('abort', abort)
        resolve(value)
      })
      if (signal?.aborted) abort()
      else signal?.addEventListener('abort', abort, { once: true })
    })
  }
}

const realSleep = promises.setTimeout
let sleep: Sleep | null = null
/** The export is replaced once: to tell all modules of a new one takes long. */
function sleepBy(way: Sleep): void {
  if (sleep === null) {
    promises.setTimeout = (ms, value, options) => sleep!(ms, value, options)
    syncBuiltinESMExports()
  }
  sleep = way
}

const isBefore = (a: Due, b: Due): boolean => a.at < b.at || (a.at === b.at && a.seq < b.seq)

/** A binary heap, the next one first. */
function push(heap: Due[], due: Due): void {
  let at = heap.push(due) - 1
  while (at > 0) {
    const parent = (at - 1) >> 1
    if (!isBefore(due, heap[parent]!)) break
    heap[at] = heap[parent]!
    at = parent
  }
  heap[at] = due
}

function pop(heap: Due[]): Due | undefined {
  const first = heap[0]
  const last = heap.pop()
  if (first === undefined || last === undefined || heap.length === 0) return first
  let at = 0
  for (;;) {
    let child = 2 * at + 1
    if (child >= heap.length) break
    if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
    if (!isBefore(heap[child]!, last)) break
    heap[at] = heap[child]!
    at = child
  }
  heap[at] = last
  return first
}
