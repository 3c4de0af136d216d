import { setTimeout as delay } from 'node:timers/promises'
import { AppendInDoubt } from '@millrace/log'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 5_000

/** Repeats an append with identical bytes until it is known to be written. `onDoubt` may throw to give up. */
export async function retryInDoubt<T>(
  append: () => Promise<T>,
  onDoubt: (error: AppendInDoubt) => void = () => {},
): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await append()
    } catch (error) {
      if (!(error instanceof AppendInDoubt)) throw error
      onDoubt(error)
      await delay(pauseMs)
    }
  }
}
