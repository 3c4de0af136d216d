/** Milliseconds to wait before try `tries` + 1: doubling from `firstMs` to `mostMs`, with full jitter on its upper half. */
export function backoffMs(tries: number, { firstMs, mostMs }: BackoffLimits, random = Math.random()): number {
  const ceiling = Math.min(mostMs, firstMs * 2 ** Math.min(tries, 30))
  return ceiling / 2 + (random * ceiling) / 2
}

export interface BackoffLimits {
  readonly firstMs: number
  readonly mostMs: number
}
