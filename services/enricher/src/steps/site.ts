import { LRUCache } from 'lru-cache'
import { getDomain } from 'tldts'

/** Registrable domains of hosts: at most this many are remembered. */
const MAX_REMEMBERED = 20_000
const domains = new LRUCache<string, string>({ max: MAX_REMEMBERED })

/**
 * The domain that somebody registered, by the public suffix list with its private part, so that `a.github.io` and
 * `b.github.io` are two sites; the host itself where it has none (`localhost`, addresses).
 */
export function domainOf(host: string): string {
  const known = domains.get(host)
  if (known !== undefined) return known
  const domain = getDomain(host, { allowPrivateDomains: true }) ?? host
  domains.set(host, domain)
  return domain
}

/** Whether a host is one of `patterns`: `example.com`, or `*.example.com` for every host below it. */
function isListed(host: string, patterns: readonly string[]): boolean {
  for (const pattern of patterns) {
    if (pattern === host) return true
    if (pattern.startsWith('*.') && host.endsWith(pattern.slice(1))) return true
  }
  return false
}

/** Whether a link from `host` stays within the site of the page: same host, same registered domain, or one of the site's hosts. */
export function isSameSite(host: string, pageHost: string, siteHosts: readonly string[]): boolean {
  if (host === pageHost) return true
  return domainOf(host) === domainOf(pageHost) || isListed(host, siteHosts)
}
