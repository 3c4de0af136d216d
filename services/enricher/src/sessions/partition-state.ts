/**
 * What one partition knows: its stream time, the hit_ids of the last hour, the engagement of pages and the sessions that
 * can still be joined. It is owned by one writer. The same functions make it from living hits and from stored rows (see
 * restore-rows.ts), so that a restored state is exactly that of the accepted records, whoever wrote them.
 */
import { type Hash64, NO_HASH, type Uuid } from '@millrace/shared'
import type { OpenRow } from '../visit.ts'
import { type Fingerprint, mix } from './fingerprint.ts'
import { RecentTable, TIME_STEP_MS } from './recent.ts'
import { SeenHits } from './seen-hits.ts'
import { kindOf, type Session } from './session.ts'

const MINUTE_MS = 60_000
/** L: how far a hit may be behind the stream and still touch a session. */
export const LATENESS_MS = 15 * MINUTE_MS
/** How long the same hit_id of the same visitor counts once. */
export const DEDUP_MS = 60 * MINUTE_MS
/** X beyond `from`: what is older than this behind the stream no longer changes anything. */
const memoryOf = (maxSessionTimeoutMs: number): number => Math.max(maxSessionTimeoutMs, DEDUP_MS) + LATENESS_MS
/** Sessions stay this much longer than they can be joined. Longer would change nothing. */
const GRACE_MS = MINUTE_MS
const keepOf = (maxSessionTimeoutMs: number): number => maxSessionTimeoutMs + LATENESS_MS + GRACE_MS
const BUCKET_MS = MINUTE_MS

/** What the state remembers of a kept hit. */
export type KeptHit = Pick<
  OpenRow,
  'day' | 'type' | 'verdict' | 'hit_id' | 'visitor_id' | 'session_id' | 'received_at' | 'page_id' | 'engaged_ms'
>

/** A kept hit as it was stored. */
export interface StoredHit {
  hitId: Uuid
  visitorId: Hash64
  receivedAt: number
  /** Days whose salt may have made the visitor's id. */
  fromDay: number
  toDay: number
  /** An engagement signal that a session took. */
  isEngagement: boolean
  pageId: Uuid
  engagedMs: number
}

export class PartitionState {
  /** S: the largest received_at so far, epoch milliseconds. Expiry, lateness and duplicates are decided by it alone. */
  streamTime = 0
  readonly seen = new SeenHits()
  /** Sessions that the current batch has changed, in the order of their first change. */
  readonly touched: Session[] = []
  #memoryMs: number
  #keepMs: number
  readonly #pages = new RecentTable(true)
  /** Days whose salt may have made the visitor ids of pages, and when the last signal came. */
  readonly #pageDays = new Map<number, number>()
  readonly #print: Fingerprint = { low: 0, high: 0 }
  /** By the lower word of the visitor's id: the session opened last. The others hang on `next`, and so may a stranger's. */
  readonly #sessions = new Map<number, Session>()
  readonly #buckets = new Map<number, Session[]>()
  /** How many sessions have a visitor id that may be of a day. */
  readonly #days = new Map<number, number>()
  #sessionCount = 0
  #floodCount = 0
  #sweptBucket = 0

  /** `maxSessionTimeoutMs`: the longest session timeout of any site. */
  constructor(maxSessionTimeoutMs: number) {
    this.#memoryMs = memoryOf(maxSessionTimeoutMs)
    this.#keepMs = keepOf(maxSessionTimeoutMs)
  }

  /** X. */
  get memoryMs(): number {
    return this.#memoryMs
  }

  /** S - X: rows of hits that were received earlier are not in a restored state, so they never count. */
  get rememberedFrom(): number {
    return this.streamTime - this.#memoryMs
  }

  /** A site's sessions may last longer from now on. A shorter time counts from the next restore on: longer does no harm. */
  allowTimeout(maxSessionTimeoutMs: number): void {
    this.#memoryMs = Math.max(this.#memoryMs, memoryOf(maxSessionTimeoutMs))
    this.#keepMs = Math.max(this.#keepMs, keepOf(maxSessionTimeoutMs))
  }

  get sessionCount(): number {
    return this.#sessionCount
  }

  /** Whether any visitor's session is a flood. */
  get hasFloods(): boolean {
    return this.#floodCount > 0
  }

  /** Moves S forward and lets go of what it has left behind. */
  advance(receivedAt: number): void {
    if (receivedAt <= this.streamTime) return
    this.streamTime = receivedAt
    const bucket = Math.floor((receivedAt - this.#keepMs) / BUCKET_MS)
    if (bucket > this.#sweptBucket) this.#sweep(bucket)
  }

  /**
   * The first of a list, hanging on `next`, that holds the sessions of a visitor, the one opened last before the others; some
   * may be those of another visitor. `guess`: what it was the last time, which is cheaper to check than to look up.
   */
  sessionsOf(visitorId: Hash64, guess: Session | null = null): Session | null {
    if (guess !== null && guess.firstIn === this && guess.visitorId.low === visitorId.low) return guess
    return this.#sessions.get(visitorId.low) ?? null
  }

  /** Whether a session may have a visitor id of that day. */
  hasSessionsOf(day: number): boolean {
    return this.#days.has(day)
  }

  addSession(session: Session): void {
    session.next = this.#sessions.get(session.visitorId.low) ?? null
    if (session.next !== null) session.next.firstIn = null
    this.#setFirst(session)
    this.#file(session)
    this.#sessionCount++
    if (kindOf(session) === 'flood') this.#floodCount++
    for (let day = session.fromDay; day <= session.toDay; day++) this.#days.set(day, (this.#days.get(day) ?? 0) + 1)
  }

  /**
   * Takes a hit's row into the memory of hit_ids and pages. Only kept rows count: a duplicate does not prolong the hour,
   * and engagement that no session took is not known to any.
   */
  apply(row: KeptHit, fromDay = row.day, toDay = row.day): void {
    if (row.verdict !== 'keep') return
    if (this.streamTime - row.received_at <= DEDUP_MS) {
      this.seen.add(row.hit_id, row.visitor_id, row.received_at, fromDay, toDay)
    }
    if (row.type === 'engagement' && row.session_id !== NO_HASH) {
      mix(row.page_id, row.visitor_id, this.#print)
      this.#addPage(row.received_at, row.engaged_ms, fromDay, toDay)
    }
  }

  /** As `apply`, for a stored hit. */
  applyStored(hit: StoredHit): void {
    if (this.streamTime - hit.receivedAt <= DEDUP_MS) {
      this.seen.add(hit.hitId, hit.visitorId, hit.receivedAt, hit.fromDay, hit.toDay)
    }
    if (hit.isEngagement) {
      mix(hit.pageId, hit.visitorId, this.#print)
      this.#addPage(hit.receivedAt, hit.engagedMs, hit.fromDay, hit.toDay)
    }
  }

  #addPage(receivedAt: number, engagedMs: number, fromDay: number, toDay: number): void {
    const known = this.#pages.largest(this.#print.low, this.#print.high, receivedAt)
    if (engagedMs <= Math.max(known, 0)) return
    this.#pages.add(this.#print.low, this.#print.high, receivedAt, engagedMs)
    for (let day = fromDay; day <= toDay; day++) {
      this.#pageDays.set(day, Math.max(receivedAt, this.#pageDays.get(day) ?? 0))
    }
  }

  /**
   * Engagement of a visitor's page that is already counted: the largest total that a session took, of the rows with
   * received_at >= S - X.
   */
  knownEngagement(visitorId: Hash64, pageId: Uuid): number {
    mix(pageId, visitorId, this.#print)
    return Math.max(0, this.#pages.largest(this.#print.low, this.#print.high, this.rememberedFrom))
  }

  /** Whether a page of a visitor whose id may be of that day is known. */
  hasPagesOf(day: number): boolean {
    return this.#pageDays.has(day)
  }

  /** Lets go of what a restore has read and nothing needs. */
  settle(): void {
    this.#sweep(Math.floor((this.streamTime - this.#keepMs) / BUCKET_MS))
  }

  get dedupEntries(): number {
    return this.seen.size
  }

  #file(session: Session): void {
    session.bucket = Math.max(Math.floor(session.end / BUCKET_MS), this.#sweptBucket)
    const bucket = this.#buckets.get(session.bucket)
    if (bucket) bucket.push(session)
    else this.#buckets.set(session.bucket, [session])
  }

  /** Removes the sessions that ended before `until`; those of their buckets that went on move to a later one. */
  #sweep(until: number): void {
    this.#sweptBucket = Math.max(until, this.#sweptBucket)
    for (const [bucket, sessions] of [...this.#buckets]) {
      if (bucket >= until) continue
      this.#buckets.delete(bucket)
      for (const session of sessions) {
        if (Math.floor(session.end / BUCKET_MS) >= until || session.touched) this.#file(session)
        else this.#remove(session)
      }
    }
    this.seen.forget(this.streamTime - DEDUP_MS)
    const since = this.rememberedFrom
    this.#pages.forget(since)
    for (const [day, last] of this.#pageDays) if (last < since - TIME_STEP_MS) this.#pageDays.delete(day)
  }

  #remove(session: Session): void {
    this.#sessionCount--
    if (kindOf(session) === 'flood') this.#floodCount--
    for (let day = session.fromDay; day <= session.toDay; day++) {
      const count = this.#days.get(day)! - 1
      if (count === 0) this.#days.delete(day)
      else this.#days.set(day, count)
    }
    const first = this.#sessions.get(session.visitorId.low)!
    if (first !== session) {
      let before = first
      while (before.next !== session) before = before.next!
      before.next = session.next
    } else if (session.next !== null) this.#setFirst(session.next)
    else this.#sessions.delete(session.visitorId.low)
    session.firstIn = null
  }

  #setFirst(session: Session): void {
    this.#sessions.set(session.visitorId.low, session)
    session.firstIn = this
  }
}
