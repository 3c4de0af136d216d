import { startDeadline } from './timer.ts'

interface Flush {
  /** Number of the last hit that it waits for. */
  readonly upTo: number
  left: number
  readonly done: () => void
}

/** Those who wait until what was queued before their call is settled. */
export class Flushes {
  readonly #waiting = new Set<Flush>()

  get any(): boolean {
    return this.#waiting.size > 0
  }

  /** True when `left` hits up to number `upTo` are settled; false when `timeoutMs` are over before. Keeps the process alive. */
  wait(left: number, upTo: number, timeoutMs: number): Promise<boolean> {
    if (left === 0) return Promise.resolve(true)
    return new Promise((resolve) => {
      const end = (complete: boolean): void => {
        cancel()
        this.#waiting.delete(flush)
        resolve(complete)
      }
      const flush: Flush = { upTo, left, done: () => end(true) }
      const cancel = startDeadline(() => end(false), timeoutMs)
      this.#waiting.add(flush)
    })
  }

  /** Hits that are delivered, refused, ignored or dropped. */
  settle(hits: readonly { readonly number: number }[]): void {
    for (const flush of [...this.#waiting]) {
      for (const { number } of hits) if (number <= flush.upTo) flush.left--
      if (flush.left === 0) flush.done()
    }
  }
}
