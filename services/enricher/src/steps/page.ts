import { Remembered } from './remembered.ts'
import { detach, MAX_NAME, MAX_PATH, readText } from './text.ts'

/** Where a hit happened. `query` is without `?` and serves the campaign step only: rows never keep it. */
export interface Page {
  readonly hostname: string
  readonly path: string
  readonly query: string
}

/** No host in the DNS is longer. */
export const MAX_HOST = 253
/** Most visitors see the same pages, and their sessions keep the paths: they keep one text of them. About 1 KB each. */
const pages = new Remembered<Page>(10_000)
const hosts = new Remembered<string>(1_000)
const MAX_REMEMBERED_URL = 512
const NO_PAGE: Page = { hostname: '', path: '', query: '' }

/**
 * The page of an absolute http(s) url: hostname and path exactly as the URL standard reads them (percent-encoding as
 * sent, no port, no query), the path cut at 2,048 units. Engagement signals may come without a url. null = not a valid url.
 */
export function parsePage(url: unknown, urlNeeded: boolean): Page | null {
  if (url === undefined && !urlNeeded) return NO_PAGE
  if (typeof url !== 'string') return null
  const known = pages.get(url)
  if (known !== undefined) return known
  const start = schemeEnd(url)
  const page = (start > 0 && parsePlain(url, start)) || parseByStandard(url)
  if (page !== null && url.length <= MAX_REMEMBERED_URL) pages.set(url, page)
  return page
}

/** Where the host begins in `http://` and `https://` written in lower case; 0 = not written so. */
function schemeEnd(url: string): number {
  if (url.startsWith('https://')) return 8
  return url.startsWith('http://') ? 7 : 0
}

/** A url that the standard would not change: nearly all of them, ten times faster. null = let the standard decide. */
function parsePlain(url: string, hostStart: number): Page | null {
  const hostEnd = plainHostEnd(url, hostStart)
  if (hostEnd === 0) return null
  const pathStart = plainPortEnd(url, hostEnd)
  if (pathStart === 0) return null
  const pathEnd = plainPathEnd(url, pathStart)
  if (pathEnd === 0 || !isPrintable(url, pathEnd)) return null
  return {
    hostname: keepHost(url, hostStart, hostEnd),
    path: pathEnd === pathStart ? '/' : keepPath(url, pathStart, pathEnd),
    query: queryOf(url, pathEnd),
  }
}

/** A session keeps its paths for hours, and of a url nothing but them. */
const keepPath = (url: string, start: number, end: number): string =>
  detach(url.slice(start, Math.min(end, start + MAX_PATH)))

/** As keepPath; a site has few. */
function keepHost(url: string, start: number, end: number): string {
  const host = url.slice(start, end)
  const known = hosts.get(host)
  if (known !== undefined) return known
  const kept = detach(host)
  hosts.set(kept, kept)
  return kept
}

function queryOf(url: string, from: number): string {
  if (url.charCodeAt(from) !== 63) return ''
  const hash = url.indexOf('#', from)
  return hash === -1 ? url.slice(from + 1) : url.slice(from + 1, hash)
}

/**
 * End of a host of lower case letters, digits, dots and single hyphens whose last label begins with a letter (else it may
 * be a number, which the standard rewrites). 0 = not plain.
 */
function plainHostEnd(url: string, start: number): number {
  let labelStart = start
  let before = 46
  let at = start
  for (; at < url.length; at++) {
    const code = url.charCodeAt(at)
    if (code === 46) labelStart = at + 1
    else if (code === 47 || code === 58 || code === 63 || code === 35) break
    else if (code !== 45 && !(code >= 97 && code <= 122) && !(code >= 48 && code <= 57)) return 0
    if ((code === 46 || code === 45) && (before === 46 || before === 45)) return 0
    before = code
  }
  if (at - start > MAX_HOST) return 0
  const first = url.charCodeAt(labelStart)
  return at > labelStart && first >= 97 && first <= 122 && before !== 45 ? at : 0
}

/** Where the path begins after an optional port of one to four digits. 0 = not plain. */
function plainPortEnd(url: string, start: number): number {
  if (url.charCodeAt(start) !== 58) return start
  let at = start + 1
  while (at < url.length && url.charCodeAt(at) >= 48 && url.charCodeAt(at) <= 57) at++
  const next = at === url.length ? 47 : url.charCodeAt(at)
  return at > start + 1 && at <= start + 5 && (next === 47 || next === 63 || next === 35) ? at : 0
}

/** 1 where the standard leaves a character of a path as it is and it ends nothing. */
const PLAIN = new Uint8Array(128)
for (const plain of "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,;=:@%/[]|")
  PLAIN[plain.charCodeAt(0)] = 1

/** End of the path; 0 = it may hold what the standard would encode or remove (dot segments, also as %2e). */
function plainPathEnd(url: string, start: number): number {
  let before = 0
  for (let at = start; at < url.length; at++) {
    const code = url.charCodeAt(at)
    if (code === 63 || code === 35) return at
    if (code === 46) {
      if (before === 47) return 0
    } else if (code > 127 || PLAIN[code] === 0) return 0
    if (before === 37 && code === 50) return 0
    before = code
  }
  return url.length
}

/** Blanks and control characters end a url or vanish from it by the standard, in its query as well. */
function isPrintable(url: string, start: number): boolean {
  for (let at = start; at < url.length; at++) if (url.charCodeAt(at) <= 32) return false
  return true
}

function parseByStandard(text: string): Page | null {
  const url = readUrl(text)
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null
  return {
    hostname: readText(url.hostname, MAX_NAME),
    path: detach(readText(url.pathname, MAX_PATH)),
    query: url.search.slice(1),
  }
}

/** The URL standard's reading; null = no absolute url. */
export function readUrl(text: string): URL | null {
  if (!URL.canParse(text)) return null
  return new URL(text)
}
