import { type Hash64, NIL_UUID, NO_HASH, Uuid } from '@millrace/shared'
import type { EnrichedHit } from '../pipeline.ts'
import { type Agent, NO_AGENT } from '../steps/agent.ts'
import { type Arrival, NO_ARRIVAL } from '../steps/arrival.ts'
import { type Language, NO_LANGUAGE } from '../steps/language.ts'
import { NOWHERE, type Place } from '../steps/place.ts'
import { REQUEST_RATE } from '../steps/request-rate.ts'
import { NO_SCREEN, type Screen } from '../steps/screen.ts'
import type { OpenRow, OpenSessionRow, Visit } from '../visit.ts'
import { addTo, find, type LeftPage, MOST_LEFT_PAGES, newestOf } from './left-pages.ts'

/** A session with less engagement than this may be a bounce. */
const BOUNCE_ENGAGED_MS = 10_000
/** The longest span of a session. */
export const SESSION_CAP_MS = 86_400_000

/** Instead of a time: none yet. */
const NEVER = -1_000_000_000

/** What a session is told by. */
interface SessionName {
  readonly site: string
  /** The id of the first hit's day, also after the start moved to the day before. */
  readonly visitorId: Hash64
  readonly sessionId: Hash64
  /** Memory only: days whose salt may have made visitorId. One day, unless it was restored. */
  readonly fromDay: number
  readonly toDay: number
}

/**
 * A session that may still be joined. Everything in it but the fields marked "memory only" is in its stored row, so that
 * a restart goes on with exactly the same session. (The pages that it left are in the rows of its hits.)
 *
 * Its times are kept as differences: these are small integers, which lie in the object, where milliseconds since 1970 would
 * each be a box somewhere else. Very many sessions are asked for once in a long time, and every such box is waited for.
 */
export class Session implements SessionName, Visit {
  readonly site: string
  readonly visitorId: Hash64
  readonly sessionId: Hash64
  readonly fromDay: number
  readonly toDay: number
  /** Memory only: the next of the state's list, another session of the same visitor or of one with half of its id. */
  next: Session | null = null
  /** Memory only: the state in which a list begins with this session. */
  firstIn: object | null = null
  /** Memory only: bucket of the expiry. */
  bucket = 0
  /** Memory only: a later one was opened later; 0 = it is not in a state yet. */
  opened = 0
  /** Memory only: the current batch has changed it. */
  touched = false
  isBot = false
  /**
   * Every page view came after the ones before it, every signal was of the exit page of then or of a page that was remembered,
   * and the start never moved: how long and how far pages were seen is on the rows of the page views that left them and of
   * later signals, and here for the exit page.
   */
  pagesInOrder = true
  /** The pages that it left lately, while they are in order: the oldest of a ring. */
  #left: LeftPage | null = null
  #leftPages = 0
  /** A second page or an interactive event came: no bounce, whatever comes. */
  engaging = false
  readonly #origin: number
  #start = 0
  #end = 0
  #entryAt = NEVER
  #exitAt = NEVER
  #exitSignalAt = NEVER
  /** Raw offset of the first hit of the last batch that changed it. */
  offset = 0
  version = 0
  day = 0
  pageViews = 0
  events = 0
  engagedMs = 0
  /** The deepest point of the exit page, percent; 0 = not measured. */
  exitDepth = 0
  /** Written into, never replaced. */
  readonly exitPageId = new Uuid(0, 0, 0, 0)
  /** Of the entry page; of the earliest hit while there is no page view. */
  hostname = ''
  entryPath = ''
  exitPath = ''
  exitTitle = ''
  botReason = ''
  arrival: Arrival = NO_ARRIVAL
  place: Place = NOWHERE
  agent: Agent = NO_AGENT
  language: Language = NO_LANGUAGE
  screen: Screen = NO_SCREEN

  /** Of no hit yet. `time`: of one of its hits. */
  constructor({ site, visitorId, sessionId, fromDay, toDay }: SessionName, time: number) {
    this.site = site
    this.visitorId = visitorId
    this.sessionId = sessionId
    this.fromDay = fromDay
    this.toDay = toDay
    this.#origin = time
  }

  /** A session lasts a day at most. Without `| 0` a difference of two boxed numbers is one more. */
  #since(time: number): number {
    return (time - this.#origin) | 0
  }

  get start(): number {
    return this.#origin + this.#start
  }
  set start(time: number) {
    this.#start = this.#since(time)
  }

  get end(): number {
    return this.#origin + this.#end
  }
  set end(time: number) {
    this.#end = this.#since(time)
  }

  /** Time of the entry page; 0 = no page view yet. */
  get entryAt(): number {
    return this.#entryAt === NEVER ? 0 : this.#origin + this.#entryAt
  }
  set entryAt(time: number) {
    this.#entryAt = time === 0 ? NEVER : this.#since(time)
  }

  /** Time of the exit page; 0 = no page view yet. */
  get exitAt(): number {
    return this.#exitAt === NEVER ? 0 : this.#origin + this.#exitAt
  }
  set exitAt(time: number) {
    this.#exitAt = time === 0 ? NEVER : this.#since(time)
  }

  /** When the last engagement signal of the exit page came; 0 = none yet. */
  get exitSignalAt(): number {
    return this.#exitSignalAt === NEVER ? 0 : this.#origin + this.#exitSignalAt
  }
  set exitSignalAt(time: number) {
    this.#exitSignalAt = time === 0 ? NEVER : this.#since(time)
  }

  /** Another page follows: the exit page, as it is known now, becomes a left one. */
  leaveExitPage(): void {
    this.remember(this.exitPageId, this.exitPath, this.exitAt, this.exitDepth)
  }

  /** The page that was left last: its hit_id, path, the time of its page view, and how deep it was seen (percent). */
  remember(id: Uuid, path: string, time: number, depth: number): void {
    if (!this.pagesInOrder) return
    const isFull = this.#leftPages === MOST_LEFT_PAGES
    const page = isFull ? this.#left! : addTo(this.#left)
    if (!isFull) this.#leftPages++
    page.copy(id)
    page.path = path
    page.at = this.#since(time)
    page.depth = depth
    this.#left = page.after
  }

  /** The page that was left last, if any is remembered. */
  get lastLeft(): LeftPage | null {
    return this.#left && newestOf(this.#left)
  }

  /** The left page of this hit_id, if it is remembered and was not viewed before `since`. */
  leftPage(id: Uuid, since: number): LeftPage | null {
    const page = find(this.#left, id)
    return page !== null && this.viewedAt(page) >= since ? page : null
  }

  /** All left pages that are remembered, the oldest first. */
  *leftPages(): Iterable<LeftPage> {
    for (let page = this.#left, i = 0; i < this.#leftPages; page = page!.after, i++) yield page!
  }

  /** When a left page was viewed. */
  viewedAt(page: LeftPage): number {
    return this.#origin + page.at
  }

  /** From now on its rows do not say how long and how far its pages were seen. */
  disorderPages(): void {
    this.pagesInOrder = false
    this.#forgetLeftPages()
  }

  /** It is in no state any more: a sender that still points to it holds little. */
  letGo(): void {
    this.next = null
    this.firstIn = null
    this.#forgetLeftPages()
  }

  #forgetLeftPages(): void {
    this.#left = null
    this.#leftPages = 0
  }
}

/** A session of no hit yet, opened by `hit` (which is then to be added). */
export function newSession({ row }: EnrichedHit, sessionId: Hash64): Session {
  const { site, visitor_id: visitorId, day, time } = row
  const session = new Session({ site, visitorId, sessionId, fromDay: day, toDay: day }, time)
  session.offset = row.ko
  session.day = day
  session.hostname = row.hostname
  session.isBot = row.is_bot
  session.botReason = row.bot_reason
  repeatVisit(row, session)
  return session
}

/** Whose a session is: its hits are all of one kind. A flood is what one visitor sends faster than people do. */
export type SessionKind = 'person' | 'bot' | 'flood'

export function kindOf({ isBot, botReason }: Pick<Session, 'isBot' | 'botReason'>): SessionKind {
  if (!isBot) return 'person'
  return botReason === REQUEST_RATE.reason ? 'flood' : 'bot'
}

/** The session begins with this earlier hit: its start, day and attributes become the hit's. */
export function moveStart(session: Session, hit: EnrichedHit): void {
  const { row } = hit
  session.start = row.time
  session.day = row.day
  if (session.pageViews === 0) session.hostname = row.hostname
  session.botReason = row.bot_reason
  session.disorderPages()
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
  row.exit_at = session.exitAt
  row.exit_signal_at = session.exitSignalAt
  row.exit_depth = session.exitDepth
  row.pages_in_order = session.pagesInOrder
  row.entry_at = session.entryAt
  row.exit_page_id = session.exitPageId
  row.engaging = session.engaging
  return row
}

/** A row to fill, every column in the order of the table. */
export function emptySessionRow(): OpenSessionRow {
  return {
    site: '',
    day: 0,
    session_id: NO_HASH,
    version: 0,
    sign: 1,
    visitor_id: NO_HASH,
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
    exit_at: 0,
    exit_signal_at: 0,
    exit_depth: 0,
    pages_in_order: false,
    entry_at: 0,
    exit_page_id: NIL_UUID,
    engaging: false,
  }
}
