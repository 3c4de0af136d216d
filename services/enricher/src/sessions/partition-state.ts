/**
 * What one partition knows: its stream time, the hit_ids of the last hour, the engagement of pages and the sessions that
 * can still be joined. It is owned by one writer; `apply` and `applySession` make it from stored rows, so that a restored
 * state is exactly that of the accepted records, whoever wrote them.
 */
import { type HitRow, NO_ID, type SessionRow } from '@millrace/shared'
import type { Agent } from '../steps/agent.ts'
import type { Arrival } from '../steps/arrival.ts'
import { readUrl } from '../steps/page.ts'
import type { Place } from '../steps/place.ts'
import { type Fingerprint, mix, readUuidWords } from './fingerprint.ts'
import { RecentTable } from './recent.ts'
import { SeenHits } from './seen-hits.ts'
import type { Session } from './session.ts'

const MINUTE_MS = 60_000
/** L: how far a hit may be behind the stream and still touch a session. */
export const LATENESS_MS = 15 * MINUTE_MS
/** How long the same hit_id of the same visitor counts once. */
export const DEDUP_MS = 60 * MINUTE_MS
/** X beyond `from`: what is older than this behind the stream no longer changes anything. */
export const memoryOf = (maxSessionTimeoutMs: number): number => Math.max(maxSessionTimeoutMs, DEDUP_MS) + LATENESS_MS
/** Sessions stay this much longer than they can be joined. Longer would change nothing. */
const GRACE_MS = MINUTE_MS
const BUCKET_MS = MINUTE_MS

/** The columns of a stored hit that the state is made of. */
export type RememberedHit = Pick<
  HitRow,
  | 'site'
  | 'day'
  | 'type'
  | 'verdict'
  | 'hit_id'
  | 'visitor_id'
  | 'session_id'
  | 'received_at'
  | 'page_id'
  | 'engaged_ms'
>
export const REMEMBERED_COLUMNS = [
  'site',
  'day',
  'type',
  'verdict',
  'hit_id',
  'visitor_id',
  'session_id',
  'received_at',
  'page_id',
  'engaged_ms',
] as const

export class PartitionState {
  /** S: the largest received_at so far, epoch milliseconds. Expiry, lateness and duplicates are decided by it alone. */
  streamTime = 0
  /** X. */
  readonly memoryMs: number
  readonly seen = new SeenHits()
  /** Sessions that the current batch has changed, in the order of their first change. */
  readonly touched: Session[] = []
  readonly #keepMs: number
  readonly #pages = new RecentTable(true)
  readonly #words = new Uint32Array(4)
  readonly #print: Fingerprint = { low: 0, high: 0 }
  /** First of each visitor's sessions; the others hang on `next`. */
  readonly #sessions = new Map<string, Session>()
  readonly #buckets = new Map<number, Session[]>()
  /** How many sessions have a visitor id that may be of a day. */
  readonly #days = new Map<number, number>()
  #sessionCount = 0
  #sweptBucket = 0
  #agents: Map<string, Agent> | null = null

  /** `maxSessionTimeoutMs`: the longest session timeout of any site. */
  constructor(maxSessionTimeoutMs: number) {
    this.memoryMs = memoryOf(maxSessionTimeoutMs)
    this.#keepMs = maxSessionTimeoutMs + LATENESS_MS + GRACE_MS
  }

  get sessionCount(): number {
    return this.#sessionCount
  }

  /** Moves S forward and lets go of what it has left behind. */
  advance(receivedAt: number): void {
    if (receivedAt <= this.streamTime) return
    this.streamTime = receivedAt
    const bucket = Math.floor((receivedAt - this.#keepMs) / BUCKET_MS)
    if (bucket > this.#sweptBucket) this.#sweep(bucket)
  }

  /** First session of a visitor; follow `next`. */
  sessionsOf(visitorId: string): Session | null {
    return this.#sessions.get(visitorId) ?? null
  }

  /** Whether a session may have a visitor id of that day. */
  hasSessionsOf(day: number): boolean {
    return this.#days.has(day)
  }

  addSession(session: Session): void {
    session.next = this.#sessions.get(session.visitorId) ?? null
    this.#sessions.set(session.visitorId, session)
    this.#file(session)
    this.#sessionCount++
    for (let day = session.fromDay; day <= session.toDay; day++) this.#days.set(day, (this.#days.get(day) ?? 0) + 1)
  }

  /**
   * Takes a hit's row into the memory of hit_ids and pages. Only kept rows count: a duplicate does not prolong the hour,
   * and engagement that no session took is not known to any.
   */
  apply(row: RememberedHit, fromDay = row.day, toDay = row.day): void {
    if (row.verdict !== 'keep') return
    if (this.streamTime - row.received_at <= DEDUP_MS) {
      this.seen.add(row.hit_id, row.visitor_id, row.received_at, fromDay, toDay)
    }
    if (row.type === 'engagement' && row.session_id !== NO_ID) {
      this.#printPage(row.site, row.page_id)
      const known = this.#pages.largest(this.#print.low, this.#print.high, row.received_at)
      if (row.engaged_ms > Math.max(known, 0))
        this.#pages.add(this.#print.low, this.#print.high, row.received_at, row.engaged_ms)
    }
  }

  /**
   * Engagement of a page that is already counted: the largest total that a session took from it, of the rows with
   * received_at >= S - X (older ones are not in a restored state, so they never count).
   */
  knownEngagement(site: string, pageId: string): number {
    this.#printPage(site, pageId)
    return Math.max(0, this.#pages.largest(this.#print.low, this.#print.high, this.streamTime - this.memoryMs))
  }

  /** Takes a stored hit back. The day of its visitor id is not stored: with a session it may be a neighbour of its own. */
  restoreHit(row: RememberedHit): void {
    const slack = row.session_id === NO_ID ? 0 : 1
    this.apply(row, row.day - slack, row.day + slack)
  }

  /** Takes a stored +1 row back: the session is what the row says. */
  applySession(row: SessionRow): void {
    let known = this.sessionsOf(row.visitor_id)
    while (known !== null && known.sessionId !== row.session_id) known = known.next
    if (known === null) this.addSession(restoredSession(row, this.#agent(row)))
    else Object.assign(known, restoredFields(row, this.#agent(row)))
  }

  /** After a restore. */
  finishRestore(): void {
    this.#agents = null
    this.#sweep(Math.floor((this.streamTime - this.#keepMs) / BUCKET_MS))
  }

  get dedupEntries(): number {
    return this.seen.size
  }

  #printPage(site: string, pageId: string): void {
    readUuidWords(pageId, this.#words)
    let hash = 0x811c9dc5
    for (let i = 0; i < site.length; i++) hash = Math.imul(hash ^ site.charCodeAt(i), 0x01000193)
    mix(this.#words, hash, site.length, this.#print)
  }

  /** Restored sessions share their agents, as living ones do. */
  #agent(row: SessionRow): Agent {
    this.#agents ??= new Map()
    const agent = agentOf(row)
    const key = JSON.stringify(agent)
    const known = this.#agents.get(key)
    if (known) return known
    this.#agents.set(key, agent)
    return agent
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
    this.#pages.forget(this.streamTime - this.memoryMs)
  }

  #remove(session: Session): void {
    this.#sessionCount--
    for (let day = session.fromDay; day <= session.toDay; day++) {
      const count = this.#days.get(day)! - 1
      if (count === 0) this.#days.delete(day)
      else this.#days.set(day, count)
    }
    const first = this.#sessions.get(session.visitorId)!
    if (first !== session) {
      let before = first
      while (before.next !== session) before = before.next!
      before.next = session.next
    } else if (session.next !== null) this.#sessions.set(session.visitorId, session.next)
    else this.#sessions.delete(session.visitorId)
  }
}

const agentOf = (row: SessionRow): Agent => ({
  browser: row.browser,
  browserVersion: row.browser_version,
  os: row.os,
  osVersion: row.os_version,
  device: row.device,
  deviceType: row.device_type as Agent['deviceType'],
  platform: row.platform as Agent['platform'],
  clientKind: row.client_kind as Agent['clientKind'],
  botReason: row.bot_reason as Agent['botReason'],
})

const placeOf = (row: SessionRow): Place => ({
  country: row.country,
  region: row.region,
  regionName: row.region_name,
  city: row.city,
})

const arrivalOf = (row: SessionRow): Arrival => ({
  referrer: row.session_referrer,
  source: row.referrer_name || hostOf(row.session_referrer),
  referrerName: row.referrer_name,
  channel: row.channel,
  utmSource: row.utm_source,
  utmMedium: row.utm_medium,
  utmCampaign: row.utm_campaign,
  utmContent: row.utm_content,
  utmTerm: row.utm_term,
  clickIdKind: row.click_id_kind,
})

/** Host of a cleaned referrer. */
const hostOf = (referrer: string): string => (referrer === '' ? '' : (readUrl(referrer)?.hostname ?? ''))

/** What a stored row says of a session that may change. */
function restoredFields(row: SessionRow, agent: Agent) {
  return {
    version: row.version,
    start: row.start,
    end: row.end,
    day: row.day,
    pageViews: row.page_views,
    events: row.events,
    engagedMs: row.engaged_ms,
    engaging: row.engaging,
    hostname: row.hostname,
    entryAt: row.entry_at,
    entryPath: row.entry_path,
    exitAt: row.exit_at,
    exitPath: row.exit_path,
    exitTitle: row.exit_title,
    exitPageId: row.exit_page_id,
    isBot: row.is_bot,
    botReason: row.bot_reason,
    arrival: arrivalOf(row),
    place: placeOf(row),
    agent,
    language: row.language,
    screenClass: row.screen_class,
    screenWidth: row.screen_width,
    screenHeight: row.screen_height,
    pixelRatio: row.pixel_ratio,
    offset: row.ko,
  }
}

/** A start that moved to the day before leaves the visitor's id of the day after. */
function restoredSession(row: SessionRow, agent: Agent): Session {
  return {
    site: row.site,
    visitorId: row.visitor_id,
    sessionId: row.session_id,
    fromDay: row.day,
    toDay: row.day + 1,
    next: null,
    bucket: 0,
    before: null,
    touched: false,
    ...restoredFields(row, agent),
  }
}
