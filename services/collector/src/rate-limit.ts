/** How many hits per second one may send for long, and how many at once; 0 = as many as one likes. */
export interface RateLimitOptions {
  readonly perSecond: number
  /** Of the clock that take() is told: milliseconds. */
  readonly maxKeys?: number
}

/** What is left to one who is limited. */
export interface Quota {
  /** Hits that would be taken now. */
  readonly remaining: number
  /** Milliseconds until the next hit is taken; 0 = now. */
  readonly waitMs: number
}

/** A pause may be made up for: as many seconds' worth of hits may come at once. */
const BURST_S = 10
/** Two generations of this size at most. Who is forgotten may send a full burst again. */
const MAX_KEYS = 32_768

/**
 * Limits hits by key, such as an address. A bucket of BURST_S seconds' worth of hits, which fills at the rate, kept as one
 * number a key: when it will be full again (GCRA). Those who were not heard of for longest are forgotten first, so a
 * flood of keys takes no more memory.
 */
export class RateLimit {
  readonly perSecond: number
  readonly #hitMs: number
  readonly #burstMs: number
  readonly #maxKeys: number
  #young = new Map<string, number>()
  #old = new Map<string, number>()

  constructor({ perSecond, maxKeys = MAX_KEYS }: RateLimitOptions) {
    this.perSecond = perSecond
    this.#hitMs = 1_000 / perSecond
    this.#burstMs = BURST_S * 1_000
    this.#maxKeys = maxKeys
  }

  /** Takes `hits` out of the bucket if there is one in it. The bucket may owe the rest: nobody is refused half a request. */
  take(key: string, hits: number, nowMs: number): boolean {
    const fullAt = this.#fullAt(key, nowMs)
    if (fullAt - nowMs > this.#burstMs - this.#hitMs) return false
    this.#set(key, fullAt + hits * this.#hitMs)
    return true
  }

  /** Takes `hits` out of the bucket in any case: what turned out to be in a request that was let in. */
  charge(key: string, hits: number, nowMs: number): void {
    this.#set(key, this.#fullAt(key, nowMs) + hits * this.#hitMs)
  }

  quotaOf(key: string, nowMs: number): Quota {
    const free = this.#burstMs - (this.#fullAt(key, nowMs) - nowMs)
    return { remaining: Math.max(0, Math.floor(free / this.#hitMs)), waitMs: Math.max(0, this.#hitMs - free) }
  }

  #fullAt(key: string, nowMs: number): number {
    return Math.max(nowMs, this.#young.get(key) ?? this.#old.get(key) ?? nowMs)
  }

  #set(key: string, fullAt: number): void {
    if (this.#young.size >= this.#maxKeys && !this.#young.has(key)) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, fullAt)
  }
}

/**
 * RateLimit-Policy, RateLimit and Retry-After of one limit (draft-ietf-httpapi-ratelimit-headers): quota and what is left
 * of it are hits, times are seconds.
 */
export function rateLimitHeaders(name: string, limit: RateLimit, quota: Quota): Record<string, string> {
  const seconds = Math.ceil(quota.waitMs / 1_000)
  return {
    'ratelimit-policy': `"${name}";q=${limit.perSecond * BURST_S};w=${BURST_S};qu="hits"`,
    ratelimit: `"${name}";r=${quota.remaining};t=${seconds}`,
    ...(seconds > 0 && { 'retry-after': String(seconds) }),
  }
}
