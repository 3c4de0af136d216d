import type { Fetch } from './fetch.ts'
import type { SentHit } from './hits.ts'
import type { Refusal } from './judge.ts'
import type { TrustProxy } from './request.ts'

/** Where the service is and who asks. */
export interface ServiceOptions {
  /** Address of the service, such as `https://stats.example.com`. */
  readonly url: string
  /** `mr_…`, a key with the scope ingest for hits, read for reports. */
  readonly key?: string | undefined
  /** Id of the site; the key's if left out, else `default`. */
  readonly site?: string | undefined
  /** How long a request may take, ms: 10,000 for hits, 30,000 for reports. */
  readonly timeoutMs?: number | undefined
  /** Used in place of the runtime's. */
  readonly fetch?: Fetch | undefined
}

/** Why a hit was let fall without the service having refused it. */
export type DropReason =
  /** The queue holds as many hits, or bytes, as it may. */
  | 'queue_full'
  /** Alone it is larger than a request may be. */
  | 'too_large'
  /** It cannot be written as JSON. */
  | 'invalid'
  /** It was sent for the first time so long ago that the service would not recognise a repetition (`retryForMs`). */
  | 'expired'
  /** The client was closed before the hit was made, or before it could be delivered. */
  | 'closed'

/** A request that will be repeated. */
export interface Retry {
  /** `network`, `timeout`, or a status such as `http_503`. */
  readonly reason: string
  readonly hits: number
  /** Failures in a row, this one included. */
  readonly failures: number
  /** Wait before the next request, ms. */
  readonly delayMs: number
}

/** What is told of hits. What these functions throw is ignored. */
export interface Listeners {
  /** The service has them, for good: answered with 202. */
  readonly onDelivered?: ((hitIds: readonly string[]) => void) | undefined
  /** The service said no; it is not sent again. */
  readonly onRefused?: ((hit: SentHit, refusal: Refusal) => void) | undefined
  /** The site's privacy settings leave it out, such as `do_not_track`. */
  readonly onIgnored?: ((hit: SentHit | null, reason: string) => void) | undefined
  /** It was let fall here. `hit` is null where there never was one that could be written. */
  readonly onDrop?: ((hit: SentHit | null, reason: DropReason) => void) | undefined
  readonly onRetry?: ((retry: Retry) => void) | undefined
}

/** How hits wait and are sent. Times are milliseconds. */
export interface SendingOptions {
  /** Who may name the client's address (see TrustProxy): 0, nobody, if left out. */
  readonly trustProxy?: TrustProxy | undefined
  /** Most hits that wait or are on their way: 10,000. */
  readonly maxQueueHits?: number | undefined
  /** Most bytes of JSON of them: 8 MiB. */
  readonly maxQueueBytes?: number | undefined
  /** Most hits in a request: 100, which is also the most that the service takes. */
  readonly batchHits?: number | undefined
  /** How long a hit may wait for others to share its request: 500. */
  readonly lingerMs?: number | undefined
  /** Most requests at a time: 4; 1 after a failure. */
  readonly maxRequests?: number | undefined
  /** Least and most that a wait between failures may reach: 500 and 30,000. */
  readonly backoffMinMs?: number | undefined
  readonly backoffMaxMs?: number | undefined
  /** How long after its first sending a hit is tried again: 45 minutes. At most 55: the service knows ids for an hour. */
  readonly retryForMs?: number | undefined
  /** false: requests are never gzipped. */
  readonly compress?: boolean | undefined
}

/** Options of createMillrace. */
export interface MillraceOptions extends ServiceOptions, SendingOptions, Listeners {}

/** The service by its address and headers. */
export interface Service {
  readonly url: string
  readonly site: string | undefined
  readonly headers: Record<string, string>
  readonly timeoutMs: number
  readonly fetch: Fetch
}
