import { MAX_HOST, parsePage, readUrl } from './page.ts'
import { detach, MAX_REFERRER, readText } from './text.ts'

/** A referrer without what may name a person. `url` = scheme, host and path; `hostname` decides whether it is another site. */
export interface Referrer {
  readonly url: string
  readonly hostname: string
}

const NO_REFERRER: Referrer = { url: '', hostname: '' }

/** Cleans a referrer: no user, no query, no fragment, at most 1,024 units. Anything without a host is none. */
export function cleanReferrer(referrer: unknown): Referrer {
  if (typeof referrer !== 'string' || referrer === '') return NO_REFERRER
  if (referrer.length <= MAX_REFERRER) {
    const page = parsePage(referrer, true)
    if (page !== null && page.hostname.length <= MAX_HOST && referrer.endsWith(`//${page.hostname}${page.path}`))
      return { url: referrer, hostname: page.hostname }
  }
  const url = readUrl(referrer)
  if (url === null || url.hostname === '' || url.hostname.length > MAX_HOST) return NO_REFERRER
  return {
    url: detach(readText(`${url.protocol}//${url.host}${url.pathname}`, MAX_REFERRER)),
    hostname: url.hostname,
  }
}
