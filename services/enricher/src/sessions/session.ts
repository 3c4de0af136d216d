import { NO_ID, NO_UUID } from '@millrace/shared'
import type { EnrichedHit } from '../pipeline.ts'
import { NO_AGENT } from '../steps/agent.ts'
import { NO_ARRIVAL } from '../steps/arrival.ts'
import { NO_LANGUAGE } from '../steps/language.ts'
import { NOWHERE } from '../steps/place.ts'
import { NO_SCREEN } from '../steps/screen.ts'
import type { OpenRow, OpenSessionRow, Visit } from '../visit.ts'

/** A session with less engagement than this may be a bounce. */
const BOUNCE_ENGAGED_MS = 10_000
/** The longest span of a session. */
export const SESSION_CAP_MS = 86_400_000

/**
 * A session that may still be joined. Everything in it but the fields marked "memory only" is in its stored row, so that
 * a restart goes on with exactly the same session.
 */
export interface Session extends Visit {
  readonly site: string
  /** 16 hex digits; the id of the first hit's day, also after the start moved to the day before. */
  readonly visitorId: string
  readonly sessionId: string
  /** Memory only: days whose salt may have made visitorId. One day, unless it was restored. */
  readonly fromDay: number
  readonly toDay: number
  /** Memory only: another session of the same visitor. */
  next: Session | null
  /** Memory only: the state in which the visitor's list begins with this session. */
  firstIn: object | null
  /** Memory only: bucket of the expiry. */
  bucket: number
  /** Memory only: the current batch has changed it. */
  touched: boolean
  /** Raw offset of the first hit of the last batch that changed it. */
  offset: number

  version: number
  start: number
  end: number
  day: number
  pageViews: number
  events: number
  engagedMs: number
  /** A second page or an interactive event came: no bounce, whatever comes. */
  engaging: boolean
  /** Of the entry page; of the earliest hit while there is no page view. */
  hostname: string
  /** Times of the entry and exit page; 0 = no page view yet. */
  entryAt: number
  entryPath: string
  exitAt: number
  exitPath: string
  exitTitle: string
  exitPageId: string
  isBot: boolean
  botReason: string
}

/** A session of no hit yet, opened by `hit` (which is then to be added). */
export function newSession(hit: EnrichedHit, sessionId: string): Session {
  const { row } = hit
  return {
    site: row.site,
    visitorId: row.visitor_id,
    sessionId: sessionId,
    fromDay: row.day,
    toDay: row.day,
    next: null,
    firstIn: null,
    bucket: 0,
    touched: false,
    offset: row.ko,
    version: 0,
    start: row.time,
    end: row.time,
    day: row.day,
    pageViews: 0,
    events: 0,
    engagedMs: 0,
    engaging: false,
    hostname: row.hostname,
    entryAt: 0,
    entryPath: '',
    exitAt: 0,
    exitPath: '',
    exitTitle: '',
    exitPageId: NO_UUID,
    isBot: row.is_bot,
    botReason: row.bot_reason,
    arrival: row.arrival,
    place: row.place,
    agent: row.agent,
    language: row.language,
    screen: row.screen,
  }
}

/** The session begins with this earlier hit: its start, day and attributes become the hit's. */
export function moveStart(session: Session, hit: EnrichedHit): void {
  const { row } = hit
  session.start = row.time
  session.day = row.day
  if (session.pageViews === 0) session.hostname = row.hostname
  session.botReason = row.bot_reason
  repeatVisit(row, session)
}

function repeatVisit(from: Visit, to: Visit): void {
  to.arrival = from.arrival
  to.place = from.place
  to.agent = from.agent
  to.language = from.language
  to.screen = from.screen
}

/** Gives a hit's row what it has of its session, as known now. */
export function repeatOnRow(session: Session, row: OpenRow): void {
  row.session_id = session.sessionId
  row.visitor_id = session.visitorId
  row.entry_path = session.entryPath
  repeatVisit(session, row)
}

/** Exactly one page, seen once or reloaded, no interactive event, and less than 10 s of engagement. */
function isBounce(session: Session): boolean {
  return session.pageViews > 0 && !session.engaging && session.engagedMs < BOUNCE_ENGAGED_MS
}

/** The session as it is stored: `row` (one object for all, its values are copied at once) with sign 1 or -1. */
export function fillSessionRow(row: OpenSessionRow, session: Session, sign: 1 | -1, kp: number): OpenSessionRow {
  row.site = session.site
  row.day = session.day
  row.session_id = session.sessionId
  row.version = session.version
  row.sign = sign
  row.visitor_id = session.visitorId
  row.start = session.start
  row.end = session.end
  row.duration_ms = Math.min(session.end - session.start, SESSION_CAP_MS)
  row.page_views = session.pageViews
  row.events = session.events
  row.is_bounce = isBounce(session) ? 1 : 0
  row.engaged_ms = session.engagedMs
  row.hostname = session.hostname
  row.entry_path = session.entryPath
  row.exit_path = session.exitPath
  row.exit_title = session.exitTitle
  repeatVisit(session, row)
  row.is_bot = session.isBot
  row.bot_reason = session.botReason
  row.kp = kp
  row.ko = session.offset
  row.entry_at = session.entryAt
  row.exit_at = session.exitAt
  row.exit_page_id = session.exitPageId
  row.engaging = session.engaging
  return row
}

/** A row to fill, every column in the order of the table. */
export function emptySessionRow(): OpenSessionRow {
  return {
    site: '',
    day: 0,
    session_id: NO_ID,
    version: 0,
    sign: 1,
    visitor_id: NO_ID,
    start: 0,
    end: 0,
    duration_ms: 0,
    page_views: 0,
    events: 0,
    is_bounce: 0,
    engaged_ms: 0,
    hostname: '',
    entry_path: '',
    exit_path: '',
    exit_title: '',
    arrival: NO_ARRIVAL,
    place: NOWHERE,
    agent: NO_AGENT,
    language: NO_LANGUAGE,
    screen: NO_SCREEN,
    is_bot: false,
    bot_reason: '',
    kp: 0,
    ko: 0,
    entry_at: 0,
    exit_at: 0,
    exit_page_id: NO_UUID,
    engaging: false,
  }
}
