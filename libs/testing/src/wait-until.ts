import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Asks until the answer is truthy, and returns it. An error of `condition` counts as "not yet".
 * @throws Error naming `what` and the last answer when it does not come within `timeoutMs`
 */
export async function waitUntil<T>(
  what: string,
  condition: () => Promise<T> | T,
  timeoutMs = 30_000,
): Promise<NonNullable<T>> {
  const until = performance.now() + timeoutMs
  for (let pause = 2; ; pause = Math.min(50, pause * 2)) {
    let last: unknown
    try {
      const answer = await condition()
      if (answer) return answer as NonNullable<T>
      last = answer
    } catch (error) {
      last = error
    }
    if (performance.now() > until) throw new Error(`waited ${timeoutMs} ms until ${what}; last: ${String(last)}`)
    await sleep(pause)
  }
}
