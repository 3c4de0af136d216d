/**
 * Calls `look` every `ms` milliseconds, never while an earlier call is still under way; returns what ends it. A look that
 * fails is left out: what it looks at tells of its own failure elsewhere.
 */
export function lookEvery(ms: number, look: () => Promise<void>): () => void {
  let looking = false
  const timer = setInterval(async () => {
    if (looking) return
    looking = true
    await look().catch(() => {})
    looking = false
  }, ms)
  return () => clearInterval(timer)
}
