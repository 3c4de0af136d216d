import { type HitType, NO_UUID, RAW_LINE_VERSION } from '@millrace/shared'
import { type Arrival, readArrival } from './read-arrival.ts'

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const MAX_DELAY_MS = 24 * 3_600_000

/** A readable hit, with what follows from its line and record alone. */
export interface ReadHit {
  readonly type: HitType
  readonly hitId: string
  readonly hostname: string
  readonly path: string
  readonly interactive: boolean
  readonly pageId: string
  readonly engagedMs: number
  readonly arrival: Arrival
}

/** What the rest of a line says of each of its hits. */
export interface Line {
  readonly site: string
  readonly ip: string
  readonly userAgent: string
  /** The sender's own id of the visitor; '' = it says none. */
  readonly user: string
  readonly sentAt: number | undefined
  readonly receivedAt: number
  readonly hits: readonly unknown[]
}

/** received_at - clamp(sent_at - created_at, 0, 24 h); without both clocks nothing is subtracted. */
export function occurredAt(line: Line, createdAt: number | undefined): number {
  if (line.sentAt === undefined || createdAt === undefined) return line.receivedAt
  return Math.round(line.receivedAt - Math.min(Math.max(line.sentAt - createdAt, 0), MAX_DELAY_MS))
}

/** The lines of a record; a record without a value is one line that cannot be read. */
export function linesOf(value: Buffer | null): string[] {
  if (value === null) return ['']
  const lines = value.toString('utf8').split('\n')
  if (lines.at(-1) === '') lines.pop()
  return lines
}

/** The place of a hit in its record is a UInt16: a record with more hits is none that a collector wrote, and one dead hit. */
export const MAX_HITS = 65_535

/** Hits of lines; one that cannot be read is one. */
export const countHits = (lines: readonly (Line | string)[]): number =>
  lines.reduce((sum, line) => sum + (typeof line === 'string' ? 1 : line.hits.length), 0)

/** A line of hits.raw, or why it is dead. */
export function readLine(text: string, appendedAt: number): Line | string {
  let line: Record<string, unknown>
  try {
    line = JSON.parse(text)
  } catch {
    return 'line_unreadable'
  }
  if (typeof line !== 'object' || line === null || Array.isArray(line)) return 'line_unreadable'
  if (line.v !== RAW_LINE_VERSION) return 'line_version_unknown'
  const { site, ip, user_agent: userAgent, collected_at: collectedAt, sent_at: sentAt, hits } = line
  if (typeof site !== 'string' || typeof ip !== 'string' || typeof userAgent !== 'string') return 'line_unreadable'
  if (typeof collectedAt !== 'number' || !Array.isArray(hits)) return 'line_unreadable'
  const receivedAt = line.spooled === true ? Math.min(collectedAt, appendedAt) : appendedAt
  const user = typeof line.user === 'string' ? line.user : ''
  return { site, ip, userAgent, user, sentAt: sentAt as number | undefined, receivedAt, hits }
}

/** A hit of a line, or why it is dead. */
export function readHit(raw: unknown): ReadHit | string {
  if (typeof raw !== 'object' || raw === null) return 'hit_invalid'
  const hit = raw as Record<string, unknown>
  const type = (hit.type ?? 'page_view') as HitType
  if (type !== 'page_view' && type !== 'event' && type !== 'engagement') return 'hit_invalid'
  if (typeof hit.hit_id !== 'string' || !UUID.test(hit.hit_id)) return 'hit_invalid'
  const url = typeof hit.url === 'string' ? httpUrl(hit.url) : undefined
  if (!url && (type !== 'engagement' || hit.url !== undefined)) return 'url_invalid'
  return {
    type,
    hitId: hit.hit_id.toLowerCase(),
    hostname: url?.hostname ?? '',
    path: url?.pathname ?? '',
    interactive: type === 'event' && hit.interactive !== false,
    pageId: typeof hit.page_id === 'string' ? hit.page_id.toLowerCase() : NO_UUID,
    engagedMs: typeof hit.engaged_ms === 'number' ? hit.engaged_ms : 0,
    arrival: readArrival(url, hit.referrer),
  }
}

function httpUrl(text: string): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  return url?.protocol === 'http:' || url?.protocol === 'https:' ? url : undefined
}
