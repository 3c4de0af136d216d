export interface Backoff {
  readonly minMs: number
  readonly maxMs: number
}

/** Longest Retry-After that is obeyed as it is: an hour. setTimeout takes no more than 24 days. */
const MAX_RETRY_AFTER_MS = 3_600_000

/**
 * How long to wait after the n-th failure in a row (1 = the first): a random part of what doubles each time ("full
 * jitter"), and before that what the service asked for.
 */
export function retryDelay(
  failures: number,
  backoff: Backoff,
  retryAfterMs: number | undefined,
  random: number,
): number {
  const ceiling = Math.min(backoff.maxMs, backoff.minMs * 2 ** Math.min(failures - 1, 30))
  return Math.ceil((retryAfterMs ?? 0) + random * ceiling)
}

/**
 * Milliseconds that a Retry-After header asks for (RFC 9110: seconds, or a date); undefined if it says nothing that can be
 * read. A date is compared with the answer's own Date, because clocks differ.
 */
export function readRetryAfter(value: string | null, date: string | null, nowMs: number): number | undefined {
  if (value === null) return undefined
  const text = value.trim()
  if (/^\d+(\.\d+)?$/.test(text)) return Math.min(MAX_RETRY_AFTER_MS, Number(text) * 1_000)
  // All three forms of an HTTP date begin with the day of the week; Date.parse takes far more.
  const until = /^[a-z]{3}/i.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(until)) return undefined
  const now = date === null ? Number.NaN : Date.parse(date)
  return Math.min(MAX_RETRY_AFTER_MS, Math.max(0, until - (Number.isNaN(now) ? nowMs : now)))
}
