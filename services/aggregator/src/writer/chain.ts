import type { StoredRecord } from '@millrace/log'
import { decodeEnriched, type EnrichedRecord, type RowsByMonth } from '@millrace/shared'

/** Where a reader of one partition of hits.enriched stands. */
export interface Cursor {
  /** Offset of the next record to look at. */
  readonly next: number
  /** Offset of the last accepted record; -1 = none yet, ANY_HEAD = not known. */
  readonly head: number
  /** Offset of hits.raw up to which (included) the accepted records reach; -1 = none. */
  readonly srcMax: number
}

/** The head was deleted by retention before anyone read on: the first record that builds on something deleted is accepted. */
export const ANY_HEAD = -2

/** An accepted record with its offset. */
interface Accepted {
  readonly offset: number
  readonly record: EnrichedRecord
}

/** Why a record was left out; also the metric label. */
export const REJECTIONS = ['not_next', 'unreadable'] as const
export type Rejection = (typeof REJECTIONS)[number]

/** What stops a partition: its log is not the one that the position speaks of. */
const CHAIN_FAULTS = ['gap', 'src_repeated'] as const
export type ChainFault = (typeof CHAIN_FAULTS)[number]

export interface Followed {
  readonly cursor: Cursor
  readonly accepted: readonly Accepted[]
  readonly rejected: readonly Rejection[]
  /** Records from here on were not looked at. */
  readonly fault: ChainFault | null
}

/**
 * Follows the chain over delivered records: one is accepted if and only if its `prev` is the last accepted one.
 * Records before the cursor were delivered twice and are passed over in silence.
 */
export function follow(start: Cursor, records: readonly StoredRecord[]): Followed {
  const accepted: Accepted[] = []
  const rejected: Rejection[] = []
  let cursor = start
  for (const stored of records) {
    if (stored.offset < cursor.next) continue
    if (stored.offset > cursor.next) return { cursor, accepted, rejected, fault: 'gap' }
    const record = readable(stored)
    if (record === null || !continues(cursor, record)) {
      rejected.push(record === null ? 'unreadable' : 'not_next')
      cursor = { ...cursor, next: stored.offset + 1 }
      continue
    }
    if (record.srcFrom <= cursor.srcMax) return { cursor, accepted, rejected, fault: 'src_repeated' }
    accepted.push({ offset: stored.offset, record })
    cursor = { next: stored.offset + 1, head: stored.offset, srcMax: record.srcTo }
  }
  return { cursor, accepted, rejected, fault: null }
}

function continues(cursor: Cursor, record: EnrichedRecord): boolean {
  if (cursor.head === ANY_HEAD) return record.prev < cursor.next && record.srcFrom > cursor.srcMax
  return record.prev === cursor.head
}

function readable(stored: StoredRecord): EnrichedRecord | null {
  try {
    return decodeEnriched(stored)
  } catch {
    return null
  }
}

/** What a record says of itself without its rows. */
export interface Link {
  readonly offset: number
  readonly prev: number
  readonly srcFrom: number
  readonly srcTo: number
  readonly hitRows: RowsByMonth
  readonly sessionRows: RowsByMonth
}

/** The link of a stored record; null when it cannot be read. */
export function linkOf(stored: StoredRecord): Link | null {
  const record = readable(stored)
  if (record === null) return null
  const { prev, srcFrom, srcTo, hitRows, sessionRows } = record
  return { offset: stored.offset, prev, srcFrom, srcTo, hitRows, sessionRows }
}

/**
 * Of the chains that begin at the low end the one that reaches the highest src: the accepted records, as far as they can
 * be told when what they build on was deleted. `links` are all readable records from `low` on, in order.
 */
export function longestChain(links: readonly Link[], low: number): readonly Link[] {
  const byTip = new Map<number, Link[]>()
  const roots = new Set<number>()
  let best: Link[] = []
  for (const link of links) {
    let chain = byTip.get(link.prev)
    if (!chain && link.prev < low && !roots.has(link.prev)) chain = []
    if (!chain) continue
    roots.add(link.prev)
    byTip.delete(link.prev)
    chain.push(link)
    byTip.set(link.offset, chain)
    if (best.length === 0 || link.srcTo > best.at(-1)!.srcTo) best = chain
  }
  return best
}

/**
 * Where to start without a committed position: at the first accepted record with src_from > `maxKo`, which is what the
 * store holds already (-1 = nothing), else at the `end` of the log.
 */
export function startIn(chain: readonly Link[], end: number, maxKo: number): Cursor {
  const first = chain.findIndex((link) => link.srcFrom > maxKo)
  const last = chain.at(-1)
  if (first >= 0) {
    const { offset, prev } = chain[first]!
    return { next: offset, head: prev, srcMax: chain[first - 1]?.srcTo ?? maxKo }
  }
  if (last) return { next: end, head: last.offset, srcMax: Math.max(last.srcTo, maxKo) }
  return { next: end, head: end === 0 ? -1 : ANY_HEAD, srcMax: maxKo }
}
