import { addressOf } from './client-address.ts'

/** A Fetch API Request: Deno, Bun, edge runtimes, Hono, Next. */
export interface FetchRequestLike {
  readonly url: string
  readonly method: string
  readonly headers: { get(name: string): string | null }
}

/** A node:http IncomingMessage, or what Express, Fastify and Koa make of it. */
export interface NodeRequestLike {
  readonly url?: string | undefined
  /** Of Express: the address before a router took its part off. */
  readonly originalUrl?: string | undefined
  readonly method?: string | undefined
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly socket?: { readonly remoteAddress?: string | undefined; readonly encrypted?: boolean | undefined } | null
}

/** A request that a hit may be read from. Which of the two it is shows in its shape. */
export type RequestLike = FetchRequestLike | NodeRequestLike

/**
 * Who may name the client, its host and its scheme. 0: nobody, the address is the connection's. A number: that many
 * proxies, each of which adds to X-Forwarded-For. A name: the header in which your proxy puts the one address, such as
 * `cf-connecting-ip`; only if nobody can reach the server past that proxy.
 */
export type TrustProxy = number | string

/** What is taken from a request. Never cookies, never authorization. */
export interface RequestFacts {
  readonly url: string | undefined
  readonly referrer: string | undefined
  readonly language: string | undefined
  readonly ip: string | undefined
  readonly user_agent: string | undefined
  readonly headers: Record<string, string>
  readonly method: string | undefined
  /** The visitor sent DNT or Sec-GPC. */
  readonly optedOut: boolean
}

/** The only request headers that are ever sent on: those that the service keeps. A test compares them with its list. */
export const KEPT_HEADERS = [
  'accept-language',
  'accept-encoding',
  'sec-ch-ua',
  'sec-ch-ua-arch',
  'sec-ch-ua-bitness',
  'sec-ch-ua-full-version-list',
  'sec-ch-ua-mobile',
  'sec-ch-ua-model',
  'sec-ch-ua-platform',
  'sec-ch-ua-platform-version',
  'sec-ch-ua-form-factors',
  'sec-fetch-dest',
  'sec-fetch-mode',
  'sec-fetch-site',
  'sec-fetch-user',
  'purpose',
  'sec-purpose',
  'x-moz',
  'dnt',
  'sec-gpc',
  'te',
  'connection',
  'pragma',
  'cache-control',
  'upgrade-insecure-requests',
] as const

/** Lengths that the service takes (wire-hit.ts), or cuts headers to. */
const MAX_HEADER = 1_024
const MAX_USER_AGENT = 2_048
const MAX_URL = 4_096
const MAX_LANGUAGE = 64

type HeaderOf = (name: string) => string | undefined

/** Reads a request. What is missing or not well formed is left out. */
export function readRequest(request: RequestLike, trust: TrustProxy): RequestFacts {
  const { headers } = request
  const header: HeaderOf = isFetch(request)
    ? (name) => request.headers.get(name) ?? undefined
    : (name) => textOf((headers as NodeRequestLike['headers'])[name])
  const peer = isFetch(request) ? undefined : request.socket?.remoteAddress
  return {
    url: isFetch(request) ? fetchUrl(request, header, trust) : nodeUrl(request, header, trust),
    referrer: pageUrl(header('referer')),
    language: firstLanguage(header('accept-language')),
    ip: addressOf(peer, header, trust),
    user_agent: header('user-agent')?.slice(0, MAX_USER_AGENT),
    headers: keptHeaders(header),
    method: request.method,
    optedOut: header('dnt') === '1' || header('sec-gpc') === '1',
  }
}

/** Those of the given headers that may be sent on, whatever the case of their names. */
export function keepHeaders(given: Readonly<Record<string, string>>): Record<string, string> {
  const lower = new Map(Object.entries(given).map(([name, value]) => [name.toLowerCase(), value]))
  return keptHeaders((name) => lower.get(name))
}

function keptHeaders(header: HeaderOf): Record<string, string> {
  const kept: Record<string, string> = {}
  for (const name of KEPT_HEADERS) {
    const value = header(name)
    if (value !== undefined) kept[name] = value.slice(0, MAX_HEADER)
  }
  return kept
}

const isFetch = (request: RequestLike): request is FetchRequestLike =>
  typeof (request.headers as { get?: unknown }).get === 'function'

const textOf = (value: string | string[] | undefined): string | undefined =>
  Array.isArray(value) ? value.join(', ') : value

function fetchUrl({ url }: FetchRequestLike, header: HeaderOf, trust: TrustProxy): string | undefined {
  const { scheme, host } = forwarded(header, trust)
  if (scheme === undefined && host === undefined) return pageUrl(url)
  const [, ownScheme, ownHost, rest] = /^(https?):\/\/([^/?#]*)(.*)$/is.exec(url) ?? []
  return ownScheme === undefined ? undefined : pageUrl(`${scheme ?? ownScheme}://${host ?? ownHost}${rest}`)
}

function nodeUrl(request: NodeRequestLike, header: HeaderOf, trust: TrustProxy): string | undefined {
  const path = request.originalUrl ?? request.url
  const { scheme, host } = forwarded(header, trust)
  const authority = host ?? header('host') ?? header(':authority')
  if (path === undefined || authority === undefined) return undefined
  // The absolute form is for proxies; what it says of the host is the client's word like any other.
  if (!path.startsWith('/')) return pageUrl(path)
  return pageUrl(`${scheme ?? (request.socket?.encrypted ? 'https' : 'http')}://${authority}${path}`)
}

/** Scheme and host as the outermost trusted proxy saw them. */
function forwarded(header: HeaderOf, trust: TrustProxy): { scheme: string | undefined; host: string | undefined } {
  if (trust === 0) return { scheme: undefined, host: undefined }
  const hops = typeof trust === 'number' ? trust : 1
  const said = (name: string): string | undefined => {
    const entries = (header(name) ?? '').split(',')
    return entries[Math.max(0, entries.length - hops)]!.trim() || undefined
  }
  const scheme = said('x-forwarded-proto')?.toLowerCase()
  return { scheme: scheme === 'http' || scheme === 'https' ? scheme : undefined, host: said('x-forwarded-host') }
}

/** An http(s) URL without user name and password; undefined if it is none, or longer than the service takes. */
function pageUrl(text: string | undefined): string | undefined {
  if (text === undefined || text.length > MAX_URL) return undefined
  try {
    const url = new URL(text)
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
    if (url.username === '' && url.password === '') return text
    url.username = ''
    url.password = ''
    return url.href
  } catch {
    return undefined
  }
}

/** First entry of an Accept-Language header, if it is a language. */
function firstLanguage(accepted: string | undefined): string | undefined {
  const first = (accepted ?? '').split(/[,;]/, 1)[0]!.trim()
  return first.length <= MAX_LANGUAGE && /^[a-z]{2,8}([-_][a-z0-9]+)*$/i.test(first) ? first : undefined
}
