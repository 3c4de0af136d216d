/** Sub-buckets per power of two: quantiles are right to 1.6 %. */
const STEPS = 64

/** Latencies in microseconds, in buckets that grow with the value: constant memory, no garbage. */
export class Latencies {
  readonly #buckets = new Uint32Array(STEPS * 40)
  count = 0
  maxUs = 0

  add(us: number): void {
    const value = Math.max(1, Math.round(us))
    this.#buckets[bucketOf(value)]! += 1
    this.count += 1
    if (value > this.maxUs) this.maxUs = value
  }

  /** The value that a share `q` (0 to 1) of all latencies does not exceed; 0 when there is none. */
  quantileUs(q: number): number {
    let left = Math.ceil(q * this.count)
    if (left === 0) return 0
    for (let bucket = 0; bucket < this.#buckets.length; bucket++) {
      left -= this.#buckets[bucket]!
      if (left <= 0) return Math.min(this.maxUs, upperOf(bucket))
    }
    return this.maxUs
  }

  clear(): void {
    this.#buckets.fill(0)
    this.count = 0
    this.maxUs = 0
  }
}

function bucketOf(value: number): number {
  if (value < STEPS) return value
  const power = Math.floor(Math.log2(value)) - 6
  return Math.min(STEPS * 40 - 1, STEPS * (power + 1) + (Math.floor(value / 2 ** power) - STEPS))
}

function upperOf(bucket: number): number {
  if (bucket < STEPS) return bucket
  const power = Math.floor(bucket / STEPS) - 1
  return (STEPS + (bucket % STEPS) + 1) * 2 ** power - 1
}
