import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger, Readiness } from '@millrace/server'

/**
 * Tries until `attempt` succeeds; `part` is what it needs. An error that `mayPass` knows as final is thrown at once.
 */
export type Reach = <T>(part: string, attempt: () => Promise<T>, mayPass?: (error: unknown) => boolean) => Promise<T>

/** For parts of this process: what does not work at once does not work. */
export const AT_ONCE: Reach = (_part, attempt) => attempt()

const FIRST_PAUSE_MS = 250
const LONGEST_PAUSE_MS = 5_000

export interface Patience {
  readonly logger: Logger
  /** Told why nothing works yet. */
  readonly readiness?: Readiness
  /** How long one part is waited for. Milliseconds; default: for ever. */
  readonly patienceMs?: number
}

/** Waits for other machines, longer from try to try, and says what it waits for. */
export function patiently({ logger, readiness, patienceMs = Number.POSITIVE_INFINITY }: Patience): Reach {
  return async (part, attempt, mayPass = () => true) => {
    const deadline = performance.now() + patienceMs
    readiness?.set(part, 'not reached yet')
    for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
      try {
        const reached = await attempt()
        readiness?.set(part, null)
        return reached
      } catch (error) {
        if (!mayPass(error) || performance.now() + pauseMs > deadline) throw error
        const problem = (error as Error).message
        readiness?.set(part, problem)
        logger.warn({ part, problem, again_in_ms: pauseMs }, 'waiting')
      }
      await sleep(pauseMs)
    }
  }
}

/** How long a part may take to answer somebody who asks for its health. */
const ANSWER_MS = 2_000

/** For Readiness.watch: null when `ask` is answered in time. A question that is still open is not asked a second time. */
export function answersInTime(ask: () => Promise<unknown>, answerMs = ANSWER_MS): () => Promise<string | null> {
  let open: Promise<string | null> | undefined
  return async () => {
    open ??= ask()
      .then(
        () => null,
        (error: unknown) => (error as Error).message,
      )
      .finally(() => {
        open = undefined
      })
    return Promise.race([open, sleep(answerMs, 'does not answer', { ref: false })])
  }
}
