/**
 * One hit into the sessions of its partition: duplicate or not, late or not, which session, and what becomes of it.
 * `step` reads no clock and does no I/O: the same hits in the same order always give the same rows.
 */
import { type Hash64, isPrivate, type LocalDays, NIL_UUID, type SiteSettings } from '@millrace/shared'
import type { EnrichedHit } from '../pipeline.ts'
import { bringsNewArrival } from '../steps/arrival.ts'
import { isTooFast, type RateLimit } from '../steps/request-rate.ts'
import { shortHash } from '../steps/short-hash.ts'
import type { OpenRow } from '../visit.ts'
import type { Found } from './cold-sessions.ts'
import { DEDUP_MS, LATENESS_MS, type PartitionState } from './partition-state.ts'
import {
  kindOf,
  moveStart,
  newSession,
  repeatOnRow,
  SESSION_CAP_MS,
  type Session,
  type SessionKind,
} from './session.ts'
import type { SessionChanges } from './session-changes.ts'

/** What a site says of its sessions. */
export interface SiteRules {
  readonly days: LocalDays
  readonly sessionTimeoutMs: number
  readonly settings: SiteSettings
  /** null = nobody is too fast. */
  readonly rate: RateLimit | null
}

/** Why a hit that can be read is not kept. */
const HIT_ID_AGAIN = 'hit_id_again'

/** Completes the hit's row, changes the state and tells `changes`. Dead hits only move the stream time. */
export function step(state: PartitionState, hit: EnrichedHit, rules: SiteRules, changes: SessionChanges): void {
  const { row } = hit
  state.advance(row.received_at)
  if (row.verdict !== 'keep') return
  if (isDuplicate(state, hit)) {
    row.verdict = 'duplicate'
    row.verdict_reason = HIT_ID_AGAIN
    return
  }
  row.late = state.streamTime - row.time > LATENESS_MS
  const session = row.late ? null : sessionFor(state, hit, rules)
  if (session === null) state.apply(row)
  else {
    addHit(state, session, hit, changes)
    repeatOnRow(session, row)
    state.apply(row, session.fromDay, session.toDay)
  }
}

/** The same hit_id from the same visitor, under its ids of the local day and both neighbours, within one hour of S. */
function isDuplicate(state: PartitionState, { row, sender: { visitor } }: EnrichedHit): boolean {
  const since = state.streamTime - DEDUP_MS
  const { seen } = state
  if (seen.has(row.hit_id, row.visitor_id, since)) return true
  for (let day = row.day - 1; day <= row.day + 1; day += 2) {
    if (!seen.mayKnow(row.hit_id, day)) continue
    const id = visitor.on(day)
    if (id !== null && seen.has(row.hit_id, id, since)) return true
  }
  return false
}

/** The session that the hit joins, else a new one; null for an engagement signal that finds none. */
function sessionFor(state: PartitionState, hit: EnrichedHit, rules: SiteRules): Session | null {
  const { row } = hit
  const found = row.is_bot ? findSession(state, hit, rules.sessionTimeoutMs, 'bot') : sessionOfPerson(state, hit, rules)
  if (found !== null || row.type === 'engagement') return found
  const session = newSession(hit, sessionIdOf(row))
  state.addSession(session)
  return session
}

/**
 * The session that a hit joins which no other rule marks. A visitor whose session is too fast for people begins a flood with
 * the next page view or event, and stays with it as long as the hits fit it. All that decides is in the stored sessions.
 */
function sessionOfPerson(state: PartitionState, hit: EnrichedHit, rules: SiteRules): Session | null {
  const { row } = hit
  if (rules.rate !== null && state.hasFloods) {
    const flood = findSession(state, hit, rules.sessionTimeoutMs, 'flood')
    if (flood !== null) {
      markFlood(row)
      return flood
    }
  }
  const found = findSession(state, hit, rules.sessionTimeoutMs, 'person')
  if (found === null || row.type === 'engagement' || !beginsFlood(found, hit, rules.rate)) return found
  markFlood(row)
  return null
}

function beginsFlood(
  { pageViews, events, start, end }: Session,
  { sender }: EnrichedHit,
  rate: RateLimit | null,
): boolean {
  return rate !== null && isTooFast(rate, pageViews + events, start, end) && !isPrivate(sender.ip)
}

function markFlood(row: OpenRow): void {
  row.is_bot = true
  row.bot_reason = 'request_rate'
}

/** session_id: the first 64 bits of sha256 of `kp NUL offset NUL index` (decimal texts) of the session's first hit. */
function sessionIdOf(row: Pick<OpenRow, 'kp' | 'ko' | 'ki'>): Hash64 {
  return shortHash(`${row.kp}\0${row.ko}\0${row.ki}`)
}

/**
 * Of the visitor's sessions that the hit fits into, the one whose interval is nearest to it; of equally near ones the
 * latest start, then the one opened last (also after a restore). The visitor is looked up under its ids of the local day and
 * both neighbours.
 */
function findSession(state: PartitionState, hit: EnrichedHit, timeoutMs: number, kind: SessionKind): Session | null {
  const { row, sender } = hit
  sender.session = state.sessionsOf(row.visitor_id, sender.session)
  let best = nearest(sender.session, row.visitor_id, kind, hit, timeoutMs, null)
  for (let day = row.day - 1; day <= row.day + 1; day += 2) {
    if (!state.hasSessionsOf(day)) continue
    const id = sender.visitor.on(day)
    if (id !== null) best = nearest(state.sessionsOf(id), id, kind, hit, timeoutMs, best)
  }
  const far = best === null ? Number.POSITIVE_INFINITY : distance(best, row.time)
  return state.mayBeAside(row.time, far) ? nearerAside(state, hit, timeoutMs, kind, best, far) : best
}

/** As `findSession`, among the sessions that are put aside; `known` when none of them is nearer. */
function nearerAside(
  state: PartitionState,
  hit: EnrichedHit,
  timeoutMs: number,
  kind: SessionKind,
  known: Session | null,
  within: number,
): Session | null {
  const { row, sender } = hit
  const { time } = row
  const arrival = row.type === 'engagement' ? null : row.arrival
  let best = known
  let found: Found | null = null
  for (let day = row.day - 1; day <= row.day + 1; day++) {
    const id = day === row.day ? row.visitor_id : state.hasSessionsOf(day) ? sender.visitor.on(day) : null
    if (id === null) continue
    for (const aside of state.aside({ visitorId: id, kind, time, timeoutMs, within, arrival })) {
      const nearer = nearest(aside.session, id, kind, hit, timeoutMs, best)
      if (nearer === best) continue
      best = nearer
      found = aside
      break // the others of this visitor are farther away
    }
  }
  return found === null ? known : state.takeBack(found)
}

/** Of the sessions of `visitorId` in a list that are of this kind. */
function nearest(
  first: Session | null,
  visitorId: Hash64,
  kind: SessionKind,
  hit: EnrichedHit,
  timeoutMs: number,
  known: Session | null,
): Session | null {
  let best = known
  for (let session = first; session !== null; session = session.next) {
    if (kindOf(session) !== kind || !session.visitorId.equals(visitorId) || !fits(session, hit, timeoutMs)) continue
    if (best === null || isNearer(session, best, hit.row.time)) best = session
  }
  return best
}

function isNearer(session: Session, best: Session, time: number): boolean {
  const difference = distance(session, time) - distance(best, time)
  if (difference !== 0) return difference < 0
  if (session.start !== best.start) return session.start > best.start
  return session.opened > best.opened
}

const distance = (session: Session, time: number): number =>
  time < session.start ? session.start - time : time > session.end ? time - session.end : 0

/**
 * A hit fits into a session of its site when the gap is at most the timeout (a longer one ends a session), the span stays
 * within 24 h, and it brings no new arrival (an engagement signal brings none).
 */
function fits(session: Session, { row }: EnrichedHit, timeoutMs: number): boolean {
  const { time } = row
  if (session.site !== row.site) return false
  if (time < session.start - timeoutMs || time > session.end + timeoutMs) return false
  const start = row.type === 'engagement' ? session.start : Math.min(session.start, time)
  if (Math.max(session.end, time) - start > SESSION_CAP_MS) return false
  return row.type === 'engagement' || !bringsNewArrival(row.arrival, session.arrival)
}

function addHit(state: PartitionState, session: Session, hit: EnrichedHit, changes: SessionChanges): void {
  const { row } = hit
  if (row.type === 'engagement') {
    addEngagement(state, session, hit, changes)
    return
  }
  touch(state, session, row, changes)
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
    row.previous_depth = session.exitDepth
    session.leaveExitPage()
  } else if (!first) session.disorderPages()
  // Signals that name no page would be this one's.
  if (row.hit_id.equals(NIL_UUID)) session.disorderPages()
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
    session.exitPageId.copy(row.hit_id)
    session.exitSignalAt = 0
    session.exitDepth = 0
  }
}

/** Totals so far: only what is new of a page counts. The signal prolongs the session and never moves its start. */
function addEngagement(state: PartitionState, session: Session, hit: EnrichedHit, changes: SessionChanges): void {
  const { row } = hit
  const added = Math.max(0, row.engaged_ms - knownEngagement(state, hit))
  const news = newsOfPage(state, session, row)
  if (added === 0 && row.time <= session.end && news === 'none') return
  touch(state, session, row, changes)
  session.end = Math.max(session.end, row.time)
  session.engagedMs = Math.min(session.engagedMs + added, 4_294_967_295)
  if (news === 'out_of_order') session.disorderPages()
  if (news !== 'of_exit_page') return
  session.exitSignalAt = Math.max(session.exitSignalAt, row.time)
  session.exitDepth = Math.max(session.exitDepth, row.scroll_percent)
}

/** What the session's row has to say of a signal's page: how long or deep the exit page was seen, or that sums do not say it any more. */
type PageNews = 'none' | 'of_exit_page' | 'out_of_order'

function newsOfPage(state: PartitionState, session: Session, row: OpenRow): PageNews {
  if (row.page_id.equals(NIL_UUID)) return 'none'
  if (row.page_id.equals(session.exitPageId)) {
    return row.time > session.exitSignalAt || row.scroll_percent > session.exitDepth ? 'of_exit_page' : 'none'
  }
  return !session.pagesInOrder || tellsOfLeftPage(state, session, row) ? 'none' : 'out_of_order'
}

/**
 * A page that was left is only seen deeper: its time ends with the next page view. The signal's own row says by how much.
 * False = that is not known: the page is not remembered, or not by everybody who may go on from here after a restore.
 */
function tellsOfLeftPage(state: PartitionState, session: Session, row: OpenRow): boolean {
  const page = session.leftPage(row.page_id, state.rememberedFrom)
  if (page === null) return false
  if (row.scroll_percent <= page.depth) return true
  const since = row.time - session.viewedAt(page)
  if (since < 0) return false // by a wrong clock: previous_ms has no sign
  row.previous_path = page.path
  row.previous_ms = since
  row.previous_depth = row.scroll_percent - page.depth
  page.depth = row.scroll_percent
  return true
}

/** Of the visitor's page, whichever of its sessions took it: under its ids of the local day and both neighbours. */
function knownEngagement(state: PartitionState, { row, sender: { visitor } }: EnrichedHit): number {
  let known = state.knownEngagement(row.visitor_id, row.page_id)
  for (let day = row.day - 1; day <= row.day + 1; day += 2) {
    const id = state.hasPagesOf(day) ? visitor.on(day) : null
    if (id !== null) known = Math.max(known, state.knownEngagement(id, row.page_id))
  }
  return known
}

/**
 * Before the first change in a batch the state that was stored last is taken back with sign -1. Both rows of a batch carry
 * the offset of the first hit of the batch that changed the session.
 */
function touch(state: PartitionState, session: Session, row: OpenRow, changes: SessionChanges): void {
  if (session.touched) return
  session.touched = true
  session.offset = row.ko
  if (session.version > 0) changes.takeBack(session)
  session.version++
  state.touched.push(session)
}
