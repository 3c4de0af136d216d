/**
 * One hit into the sessions of its partition: duplicate or not, late or not, which session, and what becomes of it.
 * `step` reads no clock and does no I/O: the same hits in the same order always give the same rows.
 */
import { hash } from 'node:crypto'
import type { BlockWriter, LocalDays, SessionRow } from '@millrace/shared'
import type { EnrichedHit, OpenRow } from '../pipeline.ts'
import { bringsNewArrival } from '../steps/arrival.ts'
import { DEDUP_MS, LATENESS_MS, type PartitionState } from './partition-state.ts'
import { moveStart, newSession, repeatOnRow, SESSION_CAP_MS, type Session, sessionRow } from './session.ts'

/** What a site says of its sessions. */
export interface SiteRules {
  readonly days: LocalDays
  readonly sessionTimeoutMs: number
}

/** Why a hit that can be read is not kept. */
export const DUPLICATE_REASONS = ['hit_id_again'] as const

/** Completes the hit's row and changes the state. Dead hits only move the stream time. */
export function step(state: PartitionState, hit: EnrichedHit, rules: SiteRules): void {
  const { row } = hit
  state.advance(row.received_at)
  if (row.verdict !== 'keep') return
  if (isDuplicate(state, hit)) {
    row.verdict = 'duplicate'
    row.verdict_reason = 'hit_id_again'
    return
  }
  row.late = state.streamTime - row.time > LATENESS_MS
  const session = row.late ? null : sessionFor(state, hit, rules.sessionTimeoutMs)
  if (session === null) state.apply(row)
  else {
    addHit(state, session, hit)
    repeatOnRow(session, row)
    state.apply(row, session.fromDay, session.toDay)
  }
}

/** The same hit_id from the same visitor, under its ids of the local day and both neighbours, within one hour of S. */
function isDuplicate(state: PartitionState, { row, visitor }: EnrichedHit): boolean {
  const since = state.streamTime - DEDUP_MS
  const { seen } = state
  if (seen.has(row.hit_id, row.visitor_id, since)) return true
  for (let day = row.day - 1; day <= row.day + 1; day += 2) {
    if (!seen.mayKnow(row.hit_id, day)) continue
    const id = visitor.on(day)
    if (id !== '' && seen.has(row.hit_id, id, since)) return true
  }
  return false
}

/** The session that the hit joins, else a new one; null for an engagement signal that finds none. */
function sessionFor(state: PartitionState, hit: EnrichedHit, timeoutMs: number): Session | null {
  const { row } = hit
  const found = findSession(state, hit, timeoutMs)
  if (found !== null || row.type === 'engagement') return found
  const session = newSession(hit, sessionIdOf(row))
  state.addSession(session)
  return session
}

/** session_id: the first 64 bits of sha256 of `kp NUL offset NUL index` (decimal texts) of the session's first hit. */
export function sessionIdOf(row: Pick<OpenRow, 'kp' | 'ko' | 'ki'>): string {
  return hash('sha256', `${row.kp}\0${row.ko}\0${row.ki}`, 'hex').slice(0, 16)
}

/**
 * Of the visitor's sessions that the hit fits into, the one whose interval is nearest to it; of equally near ones the
 * latest start, then the smallest session_id. The visitor is looked up under its ids of the local day and both neighbours.
 */
function findSession(state: PartitionState, hit: EnrichedHit, timeoutMs: number): Session | null {
  const { row, visitor } = hit
  let best = nearest(state.sessionsOf(row.visitor_id), hit, timeoutMs, null)
  for (let day = row.day - 1; day <= row.day + 1; day += 2) {
    if (!state.hasSessionsOf(day)) continue
    const id = visitor.on(day)
    if (id !== '') best = nearest(state.sessionsOf(id), hit, timeoutMs, best)
  }
  return best
}

function nearest(first: Session | null, hit: EnrichedHit, timeoutMs: number, known: Session | null): Session | null {
  let best = known
  for (let session = first; session !== null; session = session.next) {
    if (!fits(session, hit, timeoutMs)) continue
    if (best === null || isNearer(session, best, hit.row.time)) best = session
  }
  return best
}

function isNearer(session: Session, best: Session, time: number): boolean {
  const difference = distance(session, time) - distance(best, time)
  if (difference !== 0) return difference < 0
  if (session.start !== best.start) return session.start > best.start
  return session.sessionId < best.sessionId
}

const distance = (session: Session, time: number): number =>
  time < session.start ? session.start - time : time > session.end ? time - session.end : 0

/**
 * A hit fits into a session of its site when the gap is at most the timeout (a longer one ends a session), the span stays
 * within 24 h, both are a bot's or both are not, and it brings no new arrival (an engagement signal brings none).
 */
function fits(session: Session, { row, arrival }: EnrichedHit, timeoutMs: number): boolean {
  const { time } = row
  if (session.site !== row.site || session.isBot !== row.is_bot) return false
  if (time < session.start - timeoutMs || time > session.end + timeoutMs) return false
  const start = row.type === 'engagement' ? session.start : Math.min(session.start, time)
  if (Math.max(session.end, time) - start > SESSION_CAP_MS) return false
  return row.type === 'engagement' || !bringsNewArrival(arrival, session.arrival)
}

function addHit(state: PartitionState, session: Session, hit: EnrichedHit): void {
  const { row } = hit
  if (row.type === 'engagement') {
    addEngagement(state, session, row)
    return
  }
  touch(state, session, row)
  if (row.time < session.start) moveStart(session, hit)
  if (row.time > session.end) session.end = row.time
  if (row.type === 'page_view') addPageView(session, row)
  else {
    session.events++
    if (row.interactive) session.engaging = true
  }
}

/**
 * Entry is the earliest page view, the first in the log of equally early ones; exit the latest, the last in the log of
 * equally late ones. The page before is the exit page, if that is not later than this one: an earlier page view of a
 * hit that came out of order is not known any more.
 */
function addPageView(session: Session, row: OpenRow): void {
  const first = session.pageViews === 0
  if (!first && session.exitAt <= row.time) {
    row.previous_path = session.exitPath
    row.previous_ms = row.time - session.exitAt
  }
  if (!first && (row.path !== session.entryPath || row.hostname !== session.hostname)) session.engaging = true
  session.pageViews++
  if (first || row.time < session.entryAt) {
    session.entryAt = row.time
    session.entryPath = row.path
    session.hostname = row.hostname
  }
  if (first || row.time >= session.exitAt) {
    session.exitAt = row.time
    session.exitPath = row.path
    session.exitTitle = row.title
    session.exitPageId = row.hit_id
  }
}

/** Totals so far: only what is new of a page counts. The signal prolongs the session and never moves its start. */
function addEngagement(state: PartitionState, session: Session, row: OpenRow): void {
  const added = Math.max(0, row.engaged_ms - state.knownEngagement(row.site, row.page_id))
  if (added === 0 && row.time <= session.end) return
  touch(state, session, row)
  session.end = Math.max(session.end, row.time)
  session.engagedMs = Math.min(session.engagedMs + added, 4_294_967_295)
}

/** Before the first change in a batch the stored state is kept, to be taken back with sign -1. */
function touch(state: PartitionState, session: Session, row: OpenRow): void {
  session.offset = row.ko
  if (session.touched) return
  session.touched = true
  session.before = session.version === 0 ? null : sessionRow(session, -1, row.kp)
  session.version++
  state.touched.push(session)
}

/**
 * Writes what the batch changed: for every session its stored state with sign -1 (if it was stored) and its new one with
 * sign +1, both with the offset of the last hit of the batch that changed it. Then the next batch may begin.
 */
export function writeSessions(
  state: PartitionState,
  kp: number,
  writer: Pick<BlockWriter<SessionRow>, 'append'>,
  months: { add(day: number): void },
): void {
  for (const session of state.touched) {
    const { before } = session
    if (before !== null) {
      before.ko = session.offset
      writer.append(before)
      months.add(before.day)
    }
    writer.append(sessionRow(session, 1, kp))
    months.add(session.day)
    session.before = null
    session.touched = false
  }
  state.touched.length = 0
}
