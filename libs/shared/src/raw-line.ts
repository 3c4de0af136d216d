import type { WireHit } from './wire-hit.ts'

/** Version of the lines of hits.raw. Older versions stay readable. */
export const RAW_LINE_VERSION = 1

/**
 * One line of hits.raw: what one request sent for one address and agent. Times are epoch milliseconds.
 * `ip` and `user_agent` stand here and nowhere after (docs/privacy.md).
 */
export interface RawLine {
  v: number
  collected_at: number
  /** Offset up to which the collector had read millrace.config; -1 = nothing read. */
  config_at: number
  /** The line waited in the collector's spool: its `collected_at` may be earlier than the log's append time. */
  spooled?: true
  site: string
  trust: 'public' | 'secret'
  ip: string
  user_agent: string
  user?: string
  headers: Record<string, string>
  sent_at?: number
  hits: StampedHit[]
}

/** A hit as the collector forwards it: validated, with a hit_id, without what the line already says. */
export type StampedHit = Omit<WireHit, 'site' | 'sent_at' | 'ip' | 'user_agent' | 'user' | 'headers' | 'hit_id'> & {
  hit_id: string
}

/** A record of hits.raw: lines end with LF, at most this many bytes and hits. */
export const RAW_RECORD_MAX_BYTES = 256 * 1024
export const RAW_RECORD_MAX_HITS = 1_000

/** Request headers that a line keeps: what bot rules and device hints need, and nothing that names a person. */
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
