import type { Position } from '@millrace/log'
import { ANY_HEAD, type Cursor } from './chain.ts'

/**
 * A committed plan of one partition: done below `before.next`, the enriched offsets [before.next, last] are being
 * inserted by flush `flush`. The same flush of several partitions is one insert.
 */
export interface Plan {
  readonly before: Cursor
  readonly last: number
  readonly flush: string
  readonly attempt: number
  /** Epoch ms of the store's clock: an insert that begins later is refused by the tables. */
  readonly deadline: number
}

/** What a group position says: all is inserted below the cursor, and perhaps a plan is open. */
export interface Committed {
  readonly done: Cursor
  readonly plan: Plan | null
  /**
   * Not null: nobody knows what is inserted, the group had lost its position. An owner is finding out, whose own inserts
   * begin until then: epoch ms of the store's clock.
   */
  readonly claimedUntil: number | null
}

/** Kafka's default limit of the metadata of a position (offset.metadata.max.bytes). */
export const MAX_METADATA_CHARS = 4_096

/** The position to commit before an insert. */
export function encodePlan({ before, last, flush, attempt, deadline }: Plan): Position {
  return position(before, { last, flush, attempt, deadline })
}

/** The position to commit when everything before `done.next` is inserted and nothing is on its way. */
export const encodeDone = (done: Cursor): Position => position(done, {})

/** The position of a partition whose own was lost, while its owner looks into the store and completes what is missing. */
export const encodeClaim = (low: number, until: number): Position =>
  position({ next: low, head: ANY_HEAD, srcMax: -1 }, { claimed_until: until })

function position(cursor: Cursor, more: object): Position {
  const metadata = JSON.stringify({ v: 1, head: cursor.head, src_max: cursor.srcMax, ...more })
  if (metadata.length > MAX_METADATA_CHARS) throw new Error(`plan of ${metadata.length} characters`)
  return { offset: cursor.next, metadata }
}

/** Reads a committed position back. @throws Error when its metadata is none of ours */
export function decodePosition({ offset, metadata }: Position): Committed {
  const fields = parse(metadata)
  const whole = (name: string, min: number): number => {
    const value = fields[name]
    if (!Number.isSafeInteger(value) || (value as number) < min) throw new Error(`committed position: ${name} is wrong`)
    return value as number
  }
  if (fields.v !== 1) throw new Error('committed position: its metadata is not ours')
  const done = { next: offset, head: whole('head', -2), srcMax: whole('src_max', -1) }
  if (fields.claimed_until !== undefined) return { done, plan: null, claimedUntil: whole('claimed_until', 0) }
  if (fields.flush === undefined) return { done, plan: null, claimedUntil: null }
  const last = whole('last', offset)
  const plan = {
    before: done,
    last,
    flush: String(fields.flush),
    attempt: whole('attempt', 1),
    deadline: whole('deadline', 0),
  }
  return { done, plan, claimedUntil: null }
}

function parse(metadata: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(metadata)) as Record<string, unknown>
  } catch {
    return {}
  }
}

/** How the log_comment of every insert of any flush begins. */
export const ALL_FLUSHES = 'flush='
/** How the log_comment of every insert of a flush begins. */
export const flushPrefix = (flush: string): string => `${ALL_FLUSHES}${flush} `

/** The text that names an insert: the tables read its deadline, KILL QUERY its beginning. */
export function logComment(flush: string, attempt: number, table: string, deadline: number): string {
  return `${flushPrefix(flush)}attempt=${attempt} table=${table} deadline=${deadline}`
}
