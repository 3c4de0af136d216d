import type { Admitted } from './admit.ts'

/**
 * Client hints of high entropy that the enricher reads. Browsers heed this only in answers to navigations, and for other
 * origins only where the page's Permissions-Policy names them (docs/reference/http-api.md).
 */
export const ACCEPT_CH =
  'Sec-CH-UA-Full-Version-List, Sec-CH-UA-Platform-Version, Sec-CH-UA-Model, Sec-CH-UA-Form-Factors'

/** What pages of other origins may read of an answer beside its body. */
const EXPOSED = 'Retry-After, RateLimit, RateLimit-Policy'

/** An answer that any page may read. Never with credentials: a hit needs none, and a page must not use those of a visitor. */
export const READABLE_BY_ANY: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-expose-headers': EXPOSED,
}

export const JSON_TYPE = 'application/json; charset=utf-8'

/** The answer to taken hits that any page may read. */
export const TAKEN: Readonly<Record<string, string>> = {
  'content-type': JSON_TYPE,
  'access-control-allow-origin': '*',
  'accept-ch': ACCEPT_CH,
}

/**
 * The preflight does not know the site, so it allows any page; the answer to the hits decides who may read it. A day is what
 * Firefox takes at most, Chrome takes two hours.
 */
export const PREFLIGHT: Readonly<Record<string, string>> = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST',
  'access-control-allow-headers': 'content-type, content-encoding',
  'access-control-max-age': '86400',
}

/** Who may read an answer (Fetch standard, CORS protocol). */
export function readableHeaders(
  readableBy: Admitted['readableBy'],
  origin: string | undefined,
): Readonly<Record<string, string>> {
  if (readableBy === 'any') return READABLE_BY_ANY
  if (readableBy === 'none' || origin === undefined) return { vary: 'Origin' }
  return { 'access-control-allow-origin': origin, 'access-control-expose-headers': EXPOSED, vary: 'Origin' }
}
