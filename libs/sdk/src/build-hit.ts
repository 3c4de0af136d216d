import type { HitFields, SentHit } from './hits.ts'
import { keepHeaders, readRequest, type TrustProxy } from './request.ts'
import { uuidv7 } from './uuidv7.ts'
import { VERSION } from './version.ts'

const SENDER = `millrace-sdk/${VERSION}`

export interface HitDefaults {
  readonly site: string | undefined
  readonly trustProxy: TrustProxy
  /** With a key the visitor's address and headers may be sent. */
  readonly hasKey: boolean
}

/**
 * A hit as it is sent: what was said of it, then what its request says, then the client's defaults. null = its visitor
 * opted out, and without a key the service could not see that.
 * @throws whatever strange objects throw
 */
export function buildHit(fields: HitFields, defaults: HitDefaults): SentHit | null {
  const { request, headers, created_at, ...own } = fields
  const facts = request ? readRequest(request, defaults.trustProxy) : undefined
  if (facts?.optedOut && !defaults.hasKey) return null
  const hit = {
    site: defaults.site,
    ...(facts && { url: facts.url, referrer: facts.referrer, language: facts.language }),
    ...(facts && defaults.hasKey && { ip: facts.ip, user_agent: facts.user_agent, method: facts.method }),
    ...withoutUndefined(own),
    ...withHeaders(headers ?? (defaults.hasKey ? facts?.headers : undefined)),
    type: fields.type ?? 'page_view',
    hit_id: fields.hit_id ?? uuidv7(),
    created_at: created_at === undefined ? Date.now() : Number(created_at),
    sender: SENDER,
  }
  return hit as SentHit
}

/** What is undefined was not said: it must not hide what the request says. */
function withoutUndefined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}

const withHeaders = (headers: Readonly<Record<string, string>> | undefined): object =>
  headers ? { headers: keepHeaders(headers) } : {}
