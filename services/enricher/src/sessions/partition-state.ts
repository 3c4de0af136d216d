/**
 * What one partition knows: its stream time, the hit_ids of the last hour, the engagement of pages and the sessions that
 * can still be joined. It is owned by one writer. The same functions make it from living hits and from stored rows (see
 * restore-rows.ts), so that a restored state is exactly that of the accepted records, whoever wrote them.
 */
import { type Hash64, NO_HASH, type Uuid } from '@millrace/shared'
import type { ColdFile, ColdFolder, Kept } from '../cold/cold-folder.ts'
import type { OpenRow } from '../visit.ts'
import { ColdSessions, type Found, type SavedColdSessions, type Sought } from './cold-sessions.ts'
import { type Fingerprint, mix } from './fingerprint.ts'
import { RecentTable, type SavedTable, TIME_STEP_MS } from './recent.ts'
import { type SavedSeenHits, SeenHits } from './seen-hits.ts'
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
const BUCKET_MS = 10_000
/** Sessions whose last hit is not older than this stay in memory, however many they are. */
const IDLE_MS = 20_000
/** So many sessions at a time are put aside. */
const PORTION = 1_024

/** What a partition may put aside on disk. */
export interface Aside {
  readonly folder: ColdFolder
  /** So many sessions stay in memory, more only while they are young. */
  readonly sessions: number
  /** From so many hit_ids of a generation on (and of pages, too) they are put aside. */
  readonly entries: number
}

/** What a partition keeps in memory: about 8 MB of sessions, and of hit_ids and pages 3.5 and 4.5 MB. */
export const IN_MEMORY = { sessions: 8_192, entries: 262_144 }

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

/** A state as plain values; arrays and what is put aside lie in files. */
export interface SavedState {
  readonly streamTime: number
  readonly memoryMs: number
  readonly keepMs: number
  readonly opened: number
  /** null = there was none. */
  readonly floodBucket: number | null
  readonly seen: SavedSeenHits
  readonly pages: SavedTable
  readonly pageDays: readonly (readonly [day: number, time: number])[]
  readonly sessionDays: readonly (readonly [day: number, bucket: number])[]
  readonly sessions: SavedColdSessions
}

export class PartitionState {
  /** S: the largest received_at so far, epoch milliseconds. Expiry, lateness and duplicates are decided by it alone. */
  streamTime = 0
  readonly seen: SeenHits
  /** Sessions that the current batch has changed, in the order of their first change. */
  readonly touched: Session[] = []
  #memoryMs: number
  #keepMs: number
  readonly #pages: RecentTable
  /** Days whose salt may have made the visitor ids of pages, and when the last signal came. */
  readonly #pageDays = new Map<number, number>()
  readonly #print: Fingerprint = { low: 0, high: 0 }
  /** By the lower word of the visitor's id: one of its sessions. The others hang on `next`, and so may a stranger's. */
  readonly #sessions = new Map<number, Session>()
  readonly #buckets = new Map<number, Session[]>()
  /** The last bucket of sessions whose visitor id may be of a day. */
  readonly #days = new Map<number, number>()
  readonly #aside: Aside | null
  readonly #cold: ColdSessions | null
  readonly #mostInMemory: number
  /** Sessions in memory. */
  #sessionCount = 0
  #opened = 0
  /** The last bucket of a flood. */
  #floodBucket = Number.NEGATIVE_INFINITY
  #sweptBucket = 0

  /** `maxSessionTimeoutMs`: the longest session timeout of any site. Without `aside` all is kept in memory. */
  constructor(maxSessionTimeoutMs: number, aside: Aside | null = null) {
    this.#memoryMs = memoryOf(maxSessionTimeoutMs)
    this.#keepMs = keepOf(maxSessionTimeoutMs)
    this.seen = new SeenHits(aside?.folder, aside?.entries)
    this.#pages = new RecentTable(true, aside?.folder, aside?.entries)
    this.#aside = aside
    this.#cold = aside && new ColdSessions(aside.folder)
    this.#mostInMemory = aside?.sessions ?? Number.POSITIVE_INFINITY
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

  /** Sessions that can still be joined, in memory and put aside. */
  get sessionCount(): number {
    return this.#sessionCount + this.asideCount
  }

  /** Those of them that are put aside. */
  get asideCount(): number {
    return this.#cold?.count ?? 0
  }

  /** Whether any visitor's session may be a flood. */
  get hasFloods(): boolean {
    return this.#floodBucket >= this.#sweptBucket
  }

  /** Moves S forward and lets go of what it has left behind. */
  advance(receivedAt: number): void {
    if (receivedAt <= this.streamTime) return
    this.streamTime = receivedAt
    const bucket = Math.floor((receivedAt - this.#keepMs) / BUCKET_MS)
    if (bucket > this.#sweptBucket) this.#sweep(bucket)
  }

  /**
   * The first of a list, hanging on `next`, that holds the sessions of a visitor that are in memory; some may be those of another
   * visitor. `guess`: what it was the last time, which is cheaper to check than to look up.
   */
  sessionsOf(visitorId: Hash64, guess: Session | null = null): Session | null {
    if (guess !== null && guess.firstIn === this && guess.visitorId.low === visitorId.low) return guess
    return this.#sessions.get(visitorId.low) ?? null
  }

  /** Whether a session may have a visitor id of that day. */
  hasSessionsOf(day: number): boolean {
    return this.#days.has(day)
  }

  /** Opens a session. */
  addSession(session: Session): void {
    session.opened = ++this.#opened
    this.#list(session)
  }

  /** Whether a session that is put aside may be as near to `time` as one that is `distance` milliseconds away. */
  mayBeAside(time: number, distance: number): boolean {
    return this.#cold !== null && time - this.#cold.lastEnd <= distance
  }

  /** Sessions put aside that a hit may fit into, the nearest first, and perhaps some that it does not. They are copies: see `takeBack`. */
  aside(sought: Sought): Iterable<Found> {
    return this.#cold === null ? [] : this.#cold.thatMayFit(sought)
  }

  /** A session that was put aside is in memory again. */
  takeBack(found: Found): Session {
    this.#cold!.take(found)
    this.#list(found.session)
    return found.session
  }

  /** The session of this name, in memory again if it was put aside. */
  sessionNamed(visitorId: Hash64, sessionId: Hash64): Session | null {
    let session = this.sessionsOf(visitorId)
    while (session !== null && !session.sessionId.equals(sessionId)) session = session.next
    if (session !== null || this.#cold === null) return session
    const found = this.#cold.named(visitorId, sessionId)
    return found === null ? null : this.takeBack(found)
  }

  /** Between batches: what is asked for seldom goes to disk, where there is much of it. */
  putAside(): void {
    this.seen.putAside()
    this.#pages.putAside()
    if (this.#sessionCount <= this.#mostInMemory) return
    const idle = Math.floor((this.streamTime - IDLE_MS) / BUCKET_MS)
    for (const bucket of [...this.#buckets.keys()].filter((key) => key < idle).sort((a, b) => a - b)) {
      if (this.#sessionCount <= this.#mostInMemory || !this.#putBucketAside(bucket)) return
    }
  }

  /** Lets go of what it has on disk. It is not asked any more. */
  close(): void {
    this.#cold?.close()
    this.seen.close()
    this.#pages.close()
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

  *#inMemory(): Iterable<Session> {
    for (const first of this.#sessions.values())
      for (let session: Session | null = first; session !== null; session = session.next) yield session
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

  /**
   * Between batches, of a state that puts aside into a folder of the process's own: sessions that are in memory are put aside, too, in
   * what is saved. `keep` is told of all files that belong to it. @throws Error of the file system
   */
  save(into: ColdFile, keep: (files: readonly ColdFile[]) => void): SavedState {
    const inMemory = new ColdSessions(this.#aside!.folder)
    try {
      const sessions = [...this.#inMemory()]
      for (let at = 0; at < sessions.length; at += PORTION) inMemory.addOrThrow(sessions.slice(at, at + PORTION))
      keep([...this.files, ...inMemory.files])
      return {
        ...{ streamTime: this.streamTime, memoryMs: this.#memoryMs, keepMs: this.#keepMs },
        opened: this.#opened,
        floodBucket: Number.isFinite(this.#floodBucket) ? this.#floodBucket : null,
        ...{ seen: this.seen.save(into), pages: this.#pages.save(into) },
        ...{ pageDays: [...this.#pageDays], sessionDays: [...this.#days] },
        sessions: [...this.#cold!.save(into), ...inMemory.save(into)],
      }
    } finally {
      inMemory.close()
    }
  }

  /** Becomes, from nothing, what was saved, all sessions put aside. @throws Error when the files cannot be read */
  load(kept: Kept, saved: SavedState): void {
    this.streamTime = saved.streamTime
    this.#memoryMs = Math.max(this.#memoryMs, saved.memoryMs)
    this.#keepMs = Math.max(this.#keepMs, saved.keepMs)
    this.#cold!.load(kept, saved.sessions)
    this.seen.load(kept, saved.seen)
    this.#pages.load(kept, saved.pages)
    for (const [day, time] of saved.pageDays) this.#pageDays.set(day, time)
    for (const [day, bucket] of saved.sessionDays) this.#days.set(day, bucket)
    this.#floodBucket = saved.floodBucket ?? Number.NEGATIVE_INFINITY
    this.#opened = saved.opened
  }

  /** The files of what is put aside. */
  get files(): ColdFile[] {
    return [...this.seen.files, ...this.#pages.files, ...(this.#cold?.files ?? [])]
  }

  get dedupEntries(): number {
    return this.seen.size
  }

  #file(session: Session): void {
    const last = Math.max(Math.floor(session.end / BUCKET_MS), this.#sweptBucket)
    session.bucket = last
    const bucket = this.#buckets.get(last)
    if (bucket) bucket.push(session)
    else this.#buckets.set(last, [session])
    if (last > this.#floodBucket && kindOf(session) === 'flood') this.#floodBucket = last
    for (let day = session.fromDay; day <= session.toDay; day++) {
      if (last > (this.#days.get(day) ?? Number.NEGATIVE_INFINITY)) this.#days.set(day, last)
    }
  }

  /** Puts the sessions of a bucket aside that did not go on; false = the disk does not take them. */
  #putBucketAside(bucket: number): boolean {
    const sessions = this.#buckets.get(bucket)!
    this.#buckets.delete(bucket)
    const idle: Session[] = []
    for (const session of sessions) {
      if (Math.floor(session.end / BUCKET_MS) > bucket) this.#file(session)
      else idle.push(session)
    }
    while (idle.length > 0) {
      const portion = idle.slice(-PORTION)
      if (!this.#cold!.add(portion)) break
      idle.length -= portion.length
      for (const session of portion) this.#unlist(session)
    }
    for (const session of idle) this.#file(session)
    return idle.length === 0
  }

  /** Removes the sessions that ended before `until`; those of their buckets that went on move to a later one. */
  #sweep(until: number): void {
    this.#sweptBucket = Math.max(until, this.#sweptBucket)
    for (const [bucket, sessions] of [...this.#buckets]) {
      if (bucket >= until) continue
      this.#buckets.delete(bucket)
      for (const session of sessions) {
        if (Math.floor(session.end / BUCKET_MS) >= until || session.touched) this.#file(session)
        else this.#unlist(session)
      }
    }
    this.#cold?.forget(until * BUCKET_MS)
    for (const [day, last] of this.#days) if (last < until) this.#days.delete(day)
    this.seen.forget(this.streamTime - DEDUP_MS)
    const since = this.rememberedFrom
    this.#pages.forget(since)
    for (const [day, last] of this.#pageDays) if (last < since - TIME_STEP_MS) this.#pageDays.delete(day)
  }

  #list(session: Session): void {
    this.#sessionCount++
    this.#file(session)
    session.next = this.#sessions.get(session.visitorId.low) ?? null
    if (session.next !== null) session.next.firstIn = null
    this.#setFirst(session)
  }

  #unlist(session: Session): void {
    this.#sessionCount--
    const first = this.#sessions.get(session.visitorId.low)!
    if (first !== session) {
      let before = first
      while (before.next !== session) before = before.next!
      before.next = session.next
    } else if (session.next !== null) this.#setFirst(session.next)
    else this.#sessions.delete(session.visitorId.low)
    session.letGo()
  }

  #setFirst(session: Session): void {
    this.#sessions.set(session.visitorId.low, session)
    session.firstIn = this
  }
}
