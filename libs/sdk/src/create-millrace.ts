import { buildHit, type HitDefaults } from './build-hit.ts'
import { createReader, type Reader } from './create-reader.ts'
import type { EngagementFields, EventFields, HitFields, PageViewFields } from './hits.ts'
import type { MillraceOptions } from './options.ts'
import type { TrustProxy } from './request.ts'
import { Sender } from './sender.ts'
import { openService } from './service.ts'
import { Outcomes, type Stats } from './tell.ts'
import { uuidv7 } from './uuidv7.ts'

/** A client of Millrace. Nothing that sends ever throws or rejects. */
export interface Millrace extends Reader {
  /** A page view. Its id, for `engagement`. */
  pageView(fields: PageViewFields): string
  /** A custom event. */
  event(name: string, fields: EventFields): string
  /** Time in view and scroll depth, totals so far, of the page view with that id. */
  engagement(pageId: string, fields: EngagementFields): string
  /** Many hits at once; their ids in the same order. */
  batch(hits: readonly HitFields[]): string[]
  /**
   * Sends what waits now. True when everything queued before the call is settled: delivered, refused, ignored or dropped.
   * False after `timeoutMs` (10,000), while the rest goes on waiting.
   */
  flush(options?: { readonly timeoutMs?: number | undefined }): Promise<boolean>
  /** Takes no more hits, sends what waits, and drops (and tells) what is left after `timeoutMs` (5,000). True = nothing was left. */
  close(options?: { readonly timeoutMs?: number | undefined }): Promise<boolean>
  /** What became of all hits so far. */
  stats(): Stats
}

const TIMEOUT_MS = 10_000
const FLUSH_MS = 10_000
const CLOSE_MS = 5_000

/**
 * A client for one site. Does nothing until its first hit or question; keeps no process alive.
 * @throws TypeError for options that cannot be right: the one thing that throws
 */
export function createMillrace(options: MillraceOptions): Millrace {
  const service = openService(options, TIMEOUT_MS)
  const outcomes = new Outcomes(options)
  const sender = new Sender(service, options, outcomes)
  const defaults: HitDefaults = {
    site: service.site,
    trustProxy: readTrust(options.trustProxy),
    hasKey: Boolean(options.key),
  }
  /** `more` is what the name of the function says of the hit. */
  const put = (fields: HitFields, more?: Partial<HitFields>): string => {
    let id = uuidv7()
    try {
      id = fields.hit_id ?? id
      const hit = buildHit({ ...fields, ...more, hit_id: id } as HitFields, defaults)
      if (hit) sender.put(hit)
      else outcomes.ignored(null, 'opted_out')
    } catch {
      outcomes.dropped(null, 'invalid')
    }
    return id
  }
  let closing: Promise<boolean> | undefined

  return {
    pageView: (fields) => put(fields, { type: 'page_view' }),
    event: (name, fields) => put(fields as HitFields, { type: 'event', name }),
    engagement: (pageId, fields) => put(fields as HitFields, { type: 'engagement', page_id: pageId }),
    batch: (hits) => Array.from(hits ?? [], (hit) => put(hit)),
    flush: (how) => sender.flush(how?.timeoutMs ?? FLUSH_MS),
    close: (how) => {
      closing ??= sender.close(how?.timeoutMs ?? CLOSE_MS)
      return closing
    },
    stats: () => ({ queued: sender.queued, queuedBytes: sender.queuedBytes, ...outcomes.counts() }),
    ...createReader(options),
  }
}

function readTrust(trust: TrustProxy = 0): TrustProxy {
  const valid = typeof trust === 'number' ? Number.isInteger(trust) && trust >= 0 : /^[\w-]+$/.test(trust)
  if (!valid) throw new TypeError('millrace: `trustProxy` must be a number of proxies or the name of a header')
  return trust
}
