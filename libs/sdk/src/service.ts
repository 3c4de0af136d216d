import type { Fetch } from './fetch.ts'
import type { Service, ServiceOptions } from './options.ts'
import { VERSION } from './version.ts'

/**
 * Where requests go, and what all of them say.
 * @throws TypeError when the url is no http(s) URL, or the timeout no number
 */
export function openService({ url, key, site, timeoutMs, fetch }: ServiceOptions, defaultTimeoutMs: number): Service {
  const base = readUrl(url)
  return {
    url: base,
    site: site || undefined,
    headers: {
      'content-type': 'application/json',
      'user-agent': `millrace-sdk/${VERSION}`,
      ...(key && { authorization: `Bearer ${key}` }),
    },
    timeoutMs: numberOf('timeoutMs', timeoutMs, defaultTimeoutMs),
    // Looked up at each call, so that what replaces it later (instrumentation) is used too.
    fetch: fetch ?? ((address, init) => (globalThis.fetch as unknown as Fetch)(address, init)),
  }
}

function readUrl(url: string): string {
  const wrong = new TypeError('millrace: `url` must be an http or https URL such as https://stats.example.com')
  let parsed: URL
  try {
    parsed = new URL(url)
  } catch {
    throw wrong
  }
  if (parsed.protocol !== 'http:' && parsed.protocol !== 'https:') throw wrong
  return (parsed.origin + parsed.pathname).replace(/\/+$/, '')
}

/** A number that is allowed, or its default; above `most` it is `most`. @throws TypeError when it is none, or below `least` */
export function numberOf(
  name: string,
  value: number | undefined,
  fallback: number,
  least = 1,
  most = Number.MAX_SAFE_INTEGER,
): number {
  if (value === undefined) return fallback
  if (typeof value !== 'number' || !(value >= least)) {
    throw new TypeError(`millrace: \`${name}\` must be a number of at least ${least}`)
  }
  return Math.min(most, value)
}
