import { NO_ID, NO_UUID, type SessionRow } from '@millrace/shared'
import type { EnrichedHit, OpenRow } from '../pipeline.ts'
import type { Agent } from '../steps/agent.ts'
import type { Arrival } from '../steps/arrival.ts'
import type { Place } from '../steps/place.ts'

/** A session row whose position is not known yet. */
export type OpenSessionRow = { -readonly [Column in keyof SessionRow]: SessionRow[Column] }

/** A session with less engagement than this may be a bounce. */
const BOUNCE_ENGAGED_MS = 10_000
/** The longest span of a session. */
export const SESSION_CAP_MS = 86_400_000

/**
 * A session that may still be joined. Everything in it but the fields marked "memory only" is in its stored row, so that
 * a restart goes on with exactly the same session.
 */
export interface Session {
  readonly site: string
  /** 16 hex digits; the id of the first hit's day, also after the start moved to the day before. */
  readonly visitorId: string
  readonly sessionId: string
  /** Memory only: days whose salt may have made visitorId. One day, unless it was restored. */
  readonly fromDay: number
  readonly toDay: number
  /** Memory only: another session of the same visitor. */
  next: Session | null
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
  arrival: Arrival
  place: Place
  agent: Agent
  language: string
  languageRegion: string
  screenClass: string
  screenWidth: number
  screenHeight: number
  pixelRatio: number
  orientation: string
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
    arrival: hit.arrival,
    place: hit.place,
    agent: hit.agent,
    language: row.language,
    languageRegion: row.language_region,
    screenClass: row.screen_class,
    screenWidth: row.screen_width,
    screenHeight: row.screen_height,
    pixelRatio: row.pixel_ratio,
    orientation: row.orientation,
  }
}

/** The session begins with this earlier hit: its start, day and attributes become the hit's. */
export function moveStart(session: Session, hit: EnrichedHit): void {
  const { row } = hit
  session.start = row.time
  session.day = row.day
  if (session.pageViews === 0) session.hostname = row.hostname
  session.botReason = row.bot_reason
  session.arrival = hit.arrival
  session.place = hit.place
  session.agent = hit.agent
  session.language = row.language
  session.languageRegion = row.language_region
  session.screenClass = row.screen_class
  session.screenWidth = row.screen_width
  session.screenHeight = row.screen_height
  session.pixelRatio = row.pixel_ratio
  session.orientation = row.orientation
}

/** Gives a hit's row what it has of its session, as known now. */
export function repeatOnRow(session: Session, row: OpenRow): void {
  const { arrival, place, agent } = session
  row.session_id = session.sessionId
  row.visitor_id = session.visitorId
  row.session_referrer = arrival.referrer
  row.referrer_name = arrival.referrerName
  row.channel = arrival.channel
  row.utm_source = arrival.utmSource
  row.utm_medium = arrival.utmMedium
  row.utm_campaign = arrival.utmCampaign
  row.utm_content = arrival.utmContent
  row.utm_term = arrival.utmTerm
  row.click_id_kind = arrival.clickIdKind
  row.entry_path = session.entryPath
  row.country = place.country
  row.region = place.region
  row.region_name = place.regionName
  row.city = place.city
  row.browser = agent.browser
  row.browser_version = agent.browserVersion
  row.os = agent.os
  row.os_version = agent.osVersion
  row.device = agent.device
  row.device_type = agent.deviceType
  row.platform = agent.platform
  row.client_kind = agent.clientKind
  row.language = session.language
  row.language_region = session.languageRegion
  row.screen_class = session.screenClass
  row.screen_width = session.screenWidth
  row.screen_height = session.screenHeight
  row.pixel_ratio = session.pixelRatio
  row.orientation = session.orientation
}

/** Exactly one page, seen once or reloaded, no interactive event, and less than 10 s of engagement. */
function isBounce(session: Session): boolean {
  return session.pageViews > 0 && !session.engaging && session.engagedMs < BOUNCE_ENGAGED_MS
}

/** The session as it is stored: `row` (one object for all, its values are copied at once) with sign 1 or -1. */
export function fillSessionRow(row: OpenSessionRow, session: Session, sign: 1 | -1, kp: number): OpenSessionRow {
  const { arrival, place, agent } = session
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
  row.session_referrer = arrival.referrer
  row.referrer_name = arrival.referrerName
  row.channel = arrival.channel
  row.utm_source = arrival.utmSource
  row.utm_medium = arrival.utmMedium
  row.utm_campaign = arrival.utmCampaign
  row.utm_content = arrival.utmContent
  row.utm_term = arrival.utmTerm
  row.click_id_kind = arrival.clickIdKind
  row.country = place.country
  row.region = place.region
  row.region_name = place.regionName
  row.city = place.city
  row.browser = agent.browser
  row.browser_version = agent.browserVersion
  row.os = agent.os
  row.os_version = agent.osVersion
  row.device = agent.device
  row.device_type = agent.deviceType
  row.platform = agent.platform
  row.client_kind = agent.clientKind
  row.language = session.language
  row.language_region = session.languageRegion
  row.screen_class = session.screenClass
  row.screen_width = session.screenWidth
  row.screen_height = session.screenHeight
  row.pixel_ratio = session.pixelRatio
  row.orientation = session.orientation
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
    session_referrer: '',
    referrer_name: '',
    channel: '',
    utm_source: '',
    utm_medium: '',
    utm_campaign: '',
    utm_content: '',
    utm_term: '',
    click_id_kind: '',
    country: '',
    region: '',
    region_name: '',
    city: '',
    browser: '',
    browser_version: '',
    os: '',
    os_version: '',
    device: '',
    device_type: '',
    platform: '',
    client_kind: '',
    language: '',
    language_region: '',
    screen_class: '',
    screen_width: 0,
    screen_height: 0,
    pixel_ratio: 0,
    orientation: '',
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
