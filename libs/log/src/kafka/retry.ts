import { setTimeout as sleep } from 'node:timers/promises'
import { isFenced, isHopeless, isUnknownTopic, reasonOf } from './errors.ts'

const PAUSE_MS = 100

/**
 * Repeats a question to the cluster until it is answered, for at most `patienceMs`; `recover` runs between tries.
 * An unknown topic, a group that went on and the operator's mistakes end it at once.
 */
export async function untilAnswered<T>(
  what: string,
  ask: () => Promise<T>,
  recover: () => Promise<void>,
  patienceMs = 30_000,
): Promise<T> {
  const deadline = Date.now() + patienceMs
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      if (isHopeless(error) || isUnknownTopic(error) || isFenced(error) || Date.now() > deadline)
        throw new Error(`${what}: ${reasonOf(error)}`, { cause: error })
    }
    await sleep(PAUSE_MS)
    await recover()
  }
}
