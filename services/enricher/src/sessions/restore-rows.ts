/**
 * Stored rows back into a state. Nothing is decided again: sessions are what their +1 rows say, hit_ids, engagement and the
 * pages that sessions left what the hit rows say. It reads the columns where they lie in the blocks: a busy hour has millions of rows.
 */
import { BlockView, type FixedView, type Hash64, NIL_UUID, NO_HASH, type TextView } from '@millrace/shared'
import type { Agent } from '../steps/agent.ts'
import { type Arrival, DIRECT } from '../steps/arrival.ts'
import type { Language } from '../steps/language.ts'
import { OnePerValue } from '../steps/one-per-value.ts'
import { NOWHERE, type Place } from '../steps/place.ts'
import type { Screen } from '../steps/screen.ts'
import type { PartitionState, StoredHit } from './partition-state.ts'
import { Session } from './session.ts'

/** The blocks of an accepted record, and its stream time. */
export interface AcceptedRows {
  readonly streamTime: number
  readonly hits: Buffer
  readonly sessions: Buffer
}

/** Codes of the enums in columns.ts. */
const KEEP = 1
const PAGE_VIEW = 1
const ENGAGEMENT = 3

/** Makes a state from accepted records, in their order. */
export class StateReader {
  readonly #state: PartitionState
  /** Restored sessions share them, as living ones do. */
  readonly #agents = new OnePerValue<Agent>()
  readonly #places = new OnePerValue<Place>()
  readonly #languages = new OnePerValue<Language>()
  readonly #screens = new OnePerValue<Screen>()
  readonly #hit: StoredHit = {
    hitId: NIL_UUID,
    visitorId: NO_HASH,
    receivedAt: 0,
    fromDay: 0,
    toDay: 0,
    isEngagement: false,
    pageId: NIL_UUID,
    engagedMs: 0,
  }

  constructor(state: PartitionState) {
    this.#state = state
  }

  /** @throws RangeError, TypeError when the blocks cannot be read */
  add(record: AcceptedRows): void {
    this.#state.advance(record.streamTime)
    this.#addSessions(new BlockView(record.sessions))
    this.#addHits(new BlockView(record.hits))
    this.#state.putAside()
  }

  #addHits(view: BlockView): void {
    const columns = new HitColumns(view)
    const hit = this.#hit
    for (let row = 0; row < view.rows; row++) {
      if (columns.verdict.uint8(row) !== KEEP) continue
      const hasSession = columns.session_id.uint32(row) !== 0 || columns.session_id.uint32(row, 1) !== 0
      const day = columns.day.uint16(row)
      hit.hitId = columns.hit_id.uuid(row)
      hit.visitorId = columns.visitor_id.hash(row)
      hit.receivedAt = columns.received_at.int64(row)
      // The day of the visitor's id is not stored: with a session it may be a neighbour of the hit's own.
      hit.fromDay = day - (hasSession ? 1 : 0)
      hit.toDay = day + (hasSession ? 1 : 0)
      hit.isEngagement = hasSession && columns.type.uint8(row) === ENGAGEMENT
      if (hit.isEngagement) hit.pageId = columns.page_id.uuid(row)
      hit.engagedMs = columns.engaged_ms.uint32(row)
      this.#state.applyStored(hit)
      if (hasSession) this.#addPage(hit, columns, row)
    }
  }

  /** The pages that sessions in order left, from the rows that say so: page views, and later signals of such pages. */
  #addPage({ hitId, visitorId, isEngagement, pageId }: StoredHit, columns: HitColumns, row: number): void {
    const depth = columns.previous_depth.uint8(row)
    const isPageView = columns.type.uint8(row) === PAGE_VIEW
    if (!isPageView && !(isEngagement && depth > 0)) return
    const session = this.#state.sessionNamed(visitorId, columns.session_id.hash(row))
    if (session === null || !session.pagesInOrder) return
    if (isEngagement) {
      const page = session.leftPage(pageId, 0)
      if (page !== null) page.depth += depth
      return
    }
    const before = session.lastLeft
    if (before !== null) before.depth = depth
    // It was left itself, unless it is the exit page at the end of the record.
    const time = columns.time.int64(row)
    const isExitPage = time === session.exitAt && hitId.equals(session.exitPageId)
    if (!isExitPage) session.remember(hitId, columns.path.at(row), time, 0)
  }

  #addSessions(view: BlockView): void {
    const columns = new SessionColumns(view)
    for (let row = 0; row < view.rows; row++) {
      if (columns.sign.int8(row) !== 1) continue
      const visitorId = columns.visitor_id.hash(row)
      const sessionId = columns.session_id.hash(row)
      const known = this.#state.sessionNamed(visitorId, sessionId)
      const session = known ?? emptySession(columns, row, visitorId, sessionId)
      this.#fill(session, columns, row)
      if (known === null) this.#state.addSession(session)
    }
  }

  #fill(session: Session, columns: SessionColumns, row: number): void {
    // How deep it was seen by then is said by the page view that left it, among the hits of the record.
    if (session.pageViews > 0 && columns.page_views.uint32(row) > session.pageViews) session.leaveExitPage()
    const start = columns.start.int64(row)
    // How the visitor came is said by the first hit: while that is the same, so is this.
    if (session.version === 0 || start !== session.start) this.#fillVisit(session, columns, row)
    session.version = columns.version.uint32(row)
    session.start = start
    session.end = columns.end.int64(row)
    session.day = columns.day.uint16(row)
    session.pageViews = columns.page_views.uint32(row)
    session.events = columns.events.uint32(row)
    session.engagedMs = columns.engaged_ms.uint32(row)
    session.engaging = columns.engaging.uint8(row) === 1
    session.hostname = columns.hostname.at(row)
    session.entryAt = columns.entry_at.int64(row)
    session.entryPath = columns.entry_path.at(row)
    session.exitAt = columns.exit_at.int64(row)
    session.exitPath = columns.exit_path.at(row)
    session.exitTitle = columns.exit_title.at(row)
    session.exitPageId.copy(columns.exit_page_id.uuid(row))
    session.exitSignalAt = columns.exit_signal_at.int64(row)
    session.exitDepth = columns.exit_depth.uint8(row)
    if (columns.pages_in_order.uint8(row) !== 1) session.disorderPages()
    session.offset = columns.ko.int64(row)
  }

  #fillVisit(session: Session, columns: SessionColumns, row: number): void {
    session.isBot = columns.is_bot.uint8(row) === 1
    session.botReason = columns.bot_reason.at(row)
    session.arrival = arrivalAt(columns, row)
    session.place = this.#places.of(placeAt(columns, row))
    session.agent = this.#agentAt(columns, row)
    session.language = this.#languages.of(languageAt(columns, row))
    session.screen = this.#screens.of(screenAt(columns, row))
  }

  #agentAt(columns: SessionColumns, row: number): Agent {
    const agent: Agent = {
      browser: columns.browser.at(row),
      browserVersion: columns.browser_version.at(row),
      os: columns.os.at(row),
      osVersion: columns.os_version.at(row),
      device: columns.device.at(row),
      deviceType: columns.device_type.at(row) as Agent['deviceType'],
      platform: columns.platform.at(row) as Agent['platform'],
      clientKind: columns.client_kind.at(row) as Agent['clientKind'],
    }
    return this.#agents.of(agent)
  }
}

/** The columns of a block of hits. */
class HitColumns {
  readonly verdict: FixedView
  readonly type: FixedView
  readonly day: FixedView
  readonly time: FixedView
  readonly received_at: FixedView
  readonly hit_id: FixedView
  readonly visitor_id: FixedView
  readonly session_id: FixedView
  readonly page_id: FixedView
  readonly engaged_ms: FixedView
  readonly previous_depth: FixedView
  readonly path: TextView

  constructor(view: BlockView) {
    this.verdict = view.fixed('verdict')
    this.type = view.fixed('type')
    this.day = view.fixed('day')
    this.time = view.fixed('time')
    this.received_at = view.fixed('received_at')
    this.hit_id = view.fixed('hit_id')
    this.visitor_id = view.fixed('visitor_id')
    this.session_id = view.fixed('session_id')
    this.page_id = view.fixed('page_id')
    this.engaged_ms = view.fixed('engaged_ms')
    this.previous_depth = view.fixed('previous_depth')
    this.path = view.text('path')
  }
}

/** The columns of a block of sessions. */
class SessionColumns {
  readonly sign: FixedView
  readonly visitor_id: FixedView
  readonly session_id: FixedView
  readonly version: FixedView
  readonly start: FixedView
  readonly end: FixedView
  readonly day: FixedView
  readonly page_views: FixedView
  readonly events: FixedView
  readonly engaged_ms: FixedView
  readonly engaging: FixedView
  readonly entry_at: FixedView
  readonly exit_at: FixedView
  readonly exit_page_id: FixedView
  readonly exit_signal_at: FixedView
  readonly exit_depth: FixedView
  readonly pages_in_order: FixedView
  readonly is_bot: FixedView
  readonly screen_width: FixedView
  readonly screen_height: FixedView
  readonly pixel_ratio: FixedView
  readonly ko: FixedView
  readonly site: TextView
  readonly hostname: TextView
  readonly entry_path: TextView
  readonly exit_path: TextView
  readonly exit_title: TextView
  readonly bot_reason: TextView
  readonly session_referrer: TextView
  readonly referrer_name: TextView
  readonly channel: TextView
  readonly utm_source: TextView
  readonly utm_medium: TextView
  readonly utm_campaign: TextView
  readonly utm_content: TextView
  readonly utm_term: TextView
  readonly click_id_kind: TextView
  readonly country: TextView
  readonly region: TextView
  readonly region_name: TextView
  readonly city: TextView
  readonly browser: TextView
  readonly browser_version: TextView
  readonly os: TextView
  readonly os_version: TextView
  readonly device: TextView
  readonly device_type: TextView
  readonly platform: TextView
  readonly client_kind: TextView
  readonly language: TextView
  readonly language_region: TextView
  readonly orientation: TextView
  readonly screen_class: TextView

  constructor(view: BlockView) {
    this.sign = view.fixed('sign')
    this.visitor_id = view.fixed('visitor_id')
    this.session_id = view.fixed('session_id')
    this.version = view.fixed('version')
    this.start = view.fixed('start')
    this.end = view.fixed('end')
    this.day = view.fixed('day')
    this.page_views = view.fixed('page_views')
    this.events = view.fixed('events')
    this.engaged_ms = view.fixed('engaged_ms')
    this.engaging = view.fixed('engaging')
    this.entry_at = view.fixed('entry_at')
    this.exit_at = view.fixed('exit_at')
    this.exit_page_id = view.fixed('exit_page_id')
    this.exit_signal_at = view.fixed('exit_signal_at')
    this.exit_depth = view.fixed('exit_depth')
    this.pages_in_order = view.fixed('pages_in_order')
    this.is_bot = view.fixed('is_bot')
    this.screen_width = view.fixed('screen_width')
    this.screen_height = view.fixed('screen_height')
    this.pixel_ratio = view.fixed('pixel_ratio')
    this.ko = view.fixed('ko')
    this.site = view.text('site')
    this.hostname = view.text('hostname')
    this.entry_path = view.text('entry_path')
    this.exit_path = view.text('exit_path')
    this.exit_title = view.text('exit_title')
    this.bot_reason = view.text('bot_reason')
    this.session_referrer = view.text('session_referrer')
    this.referrer_name = view.text('referrer_name')
    this.channel = view.text('channel')
    this.utm_source = view.text('utm_source')
    this.utm_medium = view.text('utm_medium')
    this.utm_campaign = view.text('utm_campaign')
    this.utm_content = view.text('utm_content')
    this.utm_term = view.text('utm_term')
    this.click_id_kind = view.text('click_id_kind')
    this.country = view.text('country')
    this.region = view.text('region')
    this.region_name = view.text('region_name')
    this.city = view.text('city')
    this.browser = view.text('browser')
    this.browser_version = view.text('browser_version')
    this.os = view.text('os')
    this.os_version = view.text('os_version')
    this.device = view.text('device')
    this.device_type = view.text('device_type')
    this.platform = view.text('platform')
    this.client_kind = view.text('client_kind')
    this.language = view.text('language')
    this.language_region = view.text('language_region')
    this.orientation = view.text('orientation')
    this.screen_class = view.text('screen_class')
  }
}

/** How the visitor came; one object for all who came with nothing (a signal opens no session). */
function arrivalAt(columns: SessionColumns, row: number): Arrival {
  const referrer = columns.session_referrer.at(row)
  const referrerName = columns.referrer_name.at(row)
  const arrival: Arrival = {
    referrer,
    source: referrer === '' ? '' : referrerName,
    referrerName,
    channel: columns.channel.at(row) as Arrival['channel'],
    utmSource: columns.utm_source.at(row),
    utmMedium: columns.utm_medium.at(row),
    utmCampaign: columns.utm_campaign.at(row),
    utmContent: columns.utm_content.at(row),
    utmTerm: columns.utm_term.at(row),
    clickIdKind: columns.click_id_kind.at(row),
  }
  for (const key in arrival) if (key !== 'channel' && arrival[key as keyof Arrival] !== '') return arrival
  return DIRECT
}

function placeAt(columns: SessionColumns, row: number): Place {
  const country = columns.country.at(row)
  const city = columns.city.at(row)
  if (country === '' && city === '') return NOWHERE
  return { country, region: columns.region.at(row), regionName: columns.region_name.at(row), city }
}

const languageAt = (columns: SessionColumns, row: number): Language => ({
  language: columns.language.at(row),
  region: columns.language_region.at(row),
})

const screenAt = (columns: SessionColumns, row: number): Screen => ({
  width: columns.screen_width.uint16(row),
  height: columns.screen_height.uint16(row),
  class: columns.screen_class.at(row) as Screen['class'],
  pixelRatio: columns.pixel_ratio.float32(row),
  orientation: columns.orientation.at(row) as Screen['orientation'],
})

/** A session to be filled. A start that moved to the day before leaves the visitor's id of the day after. */
function emptySession(columns: SessionColumns, row: number, visitorId: Hash64, sessionId: Hash64): Session {
  const day = columns.day.uint16(row)
  const name = { site: columns.site.at(row), visitorId, sessionId, fromDay: day, toDay: day + 1 }
  return new Session(name, columns.start.int64(row))
}
