/**
 * An independent sequential recount of hits.raw, written from the documented meaning of the numbers and from nothing
 * else: plain, slow, obviously right. It shares no code with the enricher, so that a fault of one is seen by the other.
 */
import { hash } from 'node:crypto'
import { BlockList, isIP } from 'node:net'
import { dateOfDay, type HitType, kpOf, LocalDays, type Verdict } from '@millrace/shared'
import type { Arrival } from './read-arrival.ts'
import {
  countHits,
  type Line,
  linesOf,
  MAX_HITS,
  occurredAt,
  type ReadHit,
  readHit,
  readLine,
} from './read-raw-line.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** How far a hit may be behind the stream and still belong to a session. */
const LATENESS_MS = 15 * MINUTE
const DEDUP_MS = HOUR
const SESSION_CAP_MS = 24 * HOUR
const BOUNCE_ENGAGED_MS = 10_000
/** Why a hit is a bot's that comes faster than people are. */
const FLOOD = 'request_rate'
/** A session of so many page views and events, on average more than so many a second, is a program's. */
const FLOOD_LIMIT = { hits: 2_000, perSecond: 20 }

/** What the rule of floods leaves out: networks that are not the internet, whose addresses may be a proxy's. */
const PRIVATE_NETWORKS = new BlockList()
for (const [address, length] of [
  ...([
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
  ] as const),
  ...([
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
    ['::', 127],
    ['fc00::', 7],
    ['fe80::', 10],
  ] as const),
])
  PRIVATE_NETWORKS.addSubnet(address, length, address.includes(':') ? 'ipv6' : 'ipv4')
const isPrivate = (ip: string): boolean =>
  isIP(ip) !== 0 && PRIVATE_NETWORKS.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')

/** A record of hits.raw as the log holds it; `timestamp` is the append time in epoch milliseconds. */
export interface RawRecord {
  readonly offset: number
  readonly timestamp: number
  readonly value: Buffer | null
}

export interface RecountSettings {
  /** IANA zone of local days. */
  readonly zone: string
  readonly sessionTimeoutMs: number
  /** Where the timeout is not the same everywhere: the longest of them. */
  readonly longestSessionTimeoutMs?: number
  readonly epoch: number
  /** Salts by date (`2026-11-22`). A visitor whose salt is not given is named `#n`: compare those up to renaming. */
  readonly salts?: ReadonlyMap<string, Buffer>
  /** Why a user agent is taken for a bot's; '' = a person. */
  readonly botReason?: (userAgent: string) => string
  /** What a site says of its own. */
  readonly siteOf?: (site: string) => SiteOfRecount
  /** What was stored of a readable hit, taken instead of a rule that the recount does not have. */
  readonly storedOf?: (kp: number, ko: number, ki: number) => StoredFacts | undefined
  /** The first record is not the first that ever was: what came before it is not known. */
  readonly isCut?: boolean
  /** Other limits of the rule of floods than the documented ones. */
  readonly floodLimit?: { readonly hits: number; readonly perSecond: number } | undefined
  /** Told of each session that no later hit can change; totals are not kept then, so that memory stays bounded. */
  readonly onSession?: (session: ExpectedSession) => void
}

/** Settings of a site that the recount knows. */
export interface SiteOfRecount {
  readonly zone: string
  readonly sessionTimeoutMs: number
  /** The sender's own `user` ids tell visitors apart. */
  readonly userIds: boolean
  /** The rule of floods is switched off. */
  readonly allowsFloods?: boolean
}

/** What the enricher found out about a hit by looking things up: no rule of visitors, duplicates or sessions. */
export interface StoredFacts {
  /** '' = a person. That a hit is part of a flood is no such fact: the recount finds it itself. */
  readonly botReason: string
  readonly hostname: string
  readonly path: string
  /** Of its session, as then known: a hit that brought another began a session. */
  readonly arrival: Arrival
}

/** What is expected of one raw hit. Hits that could not be read have an empty `hitId`, `site` or `type` page_view. */
export interface ExpectedHit {
  readonly kp: number
  readonly ko: number
  readonly ki: number
  readonly site: string
  readonly type: HitType
  readonly hitId: string
  readonly verdict: Verdict
  readonly reason: string
  readonly late: boolean
  /** Epoch milliseconds. */
  readonly time: number
  readonly receivedAt: number
  /** Days since 1970-01-01 in the zone. */
  readonly day: number
  readonly isBot: boolean
  readonly hostname: string
  readonly path: string
  /** 16 hex digits where the salt is known, else `#n`; '' for dead hits. */
  readonly visitor: string
  /** Number of the session in this recount; 0 = none. */
  readonly session: number
  /** False where what came before the first record may decide it: verdict, or session. */
  readonly isCertain: boolean
}

/** A finished session. Times are epoch milliseconds; session numbers mean nothing outside this recount. */
export interface ExpectedSession {
  readonly number: number
  readonly site: string
  readonly visitor: string
  readonly isBot: boolean
  /** Local day of the start. */
  readonly day: number
  readonly start: number
  readonly end: number
  readonly pageViews: number
  readonly events: number
  readonly isBounce: boolean
  readonly engagedMs: number
  readonly entryPath: string
  readonly exitPath: string
  /** Its first hit. */
  readonly kp: number
  readonly isCertain: boolean
}

export interface DailyHits {
  pageViews: number
  events: number
  readonly visitors: Set<string>
}
export interface DailySessions {
  sessions: number
  bounces: number
  durationMs: number
  pageViews: number
}

/** Totals. Keys are tab-separated: site, date, `0|1` for bots, and for pages hostname and path. */
export interface Recount {
  readonly rawHits: number
  readonly verdicts: Record<'keep' | 'duplicate' | 'dead', number>
  readonly lateHits: number
  readonly sessions: ExpectedSession[]
  readonly dailyHits: Map<string, DailyHits>
  readonly dailyPages: Map<string, number>
  readonly dailySessions: Map<string, DailySessions>
}

type CountedVerdict = 'keep' | 'duplicate' | 'dead'

export type PartitionRecords = { partition: number; batches: AsyncIterable<readonly RawRecord[]> }

/**
 * Recounts whole partitions of hits.raw from their first record on, one after another. `onHit` is told of every hit in
 * the order of (partition, offset, index).
 */
export async function recount(
  partitions: Iterable<PartitionRecords> | AsyncIterable<PartitionRecords>,
  settings: RecountSettings,
  onHit: (hit: ExpectedHit) => void | Promise<void> = () => {},
): Promise<Recount> {
  const totals: Recount = {
    rawHits: 0,
    verdicts: { keep: 0, duplicate: 0, dead: 0 },
    lateHits: 0,
    sessions: [],
    dailyHits: new Map(),
    dailyPages: new Map(),
    dailySessions: new Map(),
  }
  const numbers = { visitor: 0, session: 0 }
  const days = new Calendars(settings)
  for await (const { partition, batches } of partitions) {
    const stream = new PartitionRecount(kpOf(settings.epoch, partition), settings, days, numbers)
    for await (const batch of batches) {
      for (const record of batch) {
        for (const hit of stream.addRecord(record)) {
          if (settings.onSession) totals.verdicts[hit.verdict as CountedVerdict] += 1
          else countHit(totals, hit)
          // Whoever answers at once is not waited for: a turn of the queue for every hit takes longer than most of them.
          const told = onHit(hit)
          if (told) await told
        }
      }
      if (settings.onSession) for (const session of stream.takeFinished()) settings.onSession(session)
    }
    for (const session of stream.finish()) {
      if (settings.onSession) settings.onSession(session)
      else countSession(totals, session)
    }
  }
  return totals
}

/** The calendar of each zone, made once. */
class Calendars {
  readonly #settings: RecountSettings
  readonly #zones = new Map<string, LocalDays>()

  constructor(settings: RecountSettings) {
    this.#settings = settings
  }

  dayOf(site: string, time: number): number {
    const zone = this.#settings.siteOf?.(site).zone ?? this.#settings.zone
    return orMake(this.#zones, zone, () => new LocalDays(zone)).dayOf(time)
  }
}

function countHit(totals: Recount, hit: ExpectedHit): void {
  const mutable = totals as { rawHits: number; lateHits: number }
  mutable.rawHits += 1
  totals.verdicts[hit.verdict as CountedVerdict] += 1
  if (hit.verdict !== 'keep') return
  if (hit.late) mutable.lateHits += 1
  if (hit.type === 'engagement') return
  const key = `${hit.site}\t${dateOfDay(hit.day)}\t${hit.isBot ? 1 : 0}`
  const day = orMake(totals.dailyHits, key, () => ({ pageViews: 0, events: 0, visitors: new Set<string>() }))
  day.visitors.add(hit.visitor)
  if (hit.type === 'event') {
    day.events += 1
    return
  }
  day.pageViews += 1
  const page = `${key}\t${hit.hostname}\t${hit.path}`
  totals.dailyPages.set(page, (totals.dailyPages.get(page) ?? 0) + 1)
}

function countSession(totals: Recount, session: ExpectedSession): void {
  totals.sessions.push(session)
  const key = `${session.site}\t${dateOfDay(session.day)}\t${session.isBot ? 1 : 0}`
  const day = orMake(totals.dailySessions, key, () => ({ sessions: 0, bounces: 0, durationMs: 0, pageViews: 0 }))
  day.sessions += 1
  day.bounces += session.isBounce ? 1 : 0
  day.durationMs += session.end - session.start
  day.pageViews += session.pageViews
}

/** A hit as a session remembers it. */
interface SessionHit extends ReadHit {
  readonly time: number
  readonly receivedAt: number
}

/** A visit that may still be joined: what decides whether another hit joins, and what is told of it at its end. */
interface OpenSession {
  readonly number: number
  readonly visitor: string
  /** Local day of the hit that opened it; the visitor's name is of this day. */
  readonly visitorDay: number
  /** Whose: all of its hits are a person's, a bot's, or part of one flood. */
  readonly kind: Kind
  start: number
  end: number
  /** Of the earliest hit. */
  arrival: Arrival
  pageViews: number
  events: number
  /** The first page view and the last one, by their times. */
  entry: SessionHit | undefined
  exit: SessionHit | undefined
  /** No page view was of another page than the others. */
  isOnePage: boolean
  hasInteractive: boolean
  engagedMs: number
  readonly isCertain: boolean
}

type Kind = 'person' | 'bot' | 'flood'

/** Who sent a hit: one site, address and agent. */
interface Sender {
  readonly site: string
  readonly ip: string
  readonly userAgent: string
  /** received_at of the first keep of each hit_id. */
  readonly kept: Map<string, number>
  readonly visitors: Map<number, string>
  /** By page_id: totals of engagement that a session was given. Those that cannot be the largest any more are left out. */
  readonly pages: Map<string, PageTotal[]>
  open: OpenSession[]
  /** Hits up to this time may belong to a session that began before the first record. */
  uncertainUntil: number
}

interface PageTotal {
  readonly total: number
  readonly receivedAt: number
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] }

class PartitionRecount {
  readonly #kp: number
  readonly #settings: RecountSettings
  readonly #days: Calendars
  readonly #numbers: { visitor: number; session: number }
  readonly #senders = new Map<string, Sender>()
  #finished: ExpectedSession[] = []
  /** S: largest received_at so far. */
  #streamTime = 0
  #sweptAt = 0
  /** Append time of the first record: nothing that came before has moved S beyond it. */
  #beganAt = 0

  constructor(kp: number, settings: RecountSettings, days: Calendars, numbers: { visitor: number; session: number }) {
    this.#kp = kp
    this.#settings = settings
    this.#days = days
    this.#numbers = numbers
  }

  *addRecord(record: RawRecord): Iterable<ExpectedHit> {
    this.#beganAt ||= record.timestamp
    const lines = linesOf(record.value).map((text) => readLine(text, record.timestamp))
    if (countHits(lines) > MAX_HITS) {
      this.#advance(record.timestamp)
      yield this.#dead(record, 0, { site: '', receivedAt: record.timestamp }, 'line_unreadable')
      return
    }
    let ki = 0
    for (const line of lines) {
      if (typeof line === 'string') {
        this.#advance(record.timestamp)
        yield this.#dead(record, ki++, { site: '', receivedAt: record.timestamp }, line)
        continue
      }
      for (const hit of line.hits) {
        this.#advance(line.receivedAt)
        yield this.#addHit(record, ki++, line, hit)
      }
    }
  }

  /** Sessions that no later hit can reach, each once. */
  takeFinished(): ExpectedSession[] {
    const taken = this.#finished
    this.#finished = []
    return taken
  }

  /** Every session of the partition that was not taken, in no particular order. */
  finish(): ExpectedSession[] {
    for (const sender of this.#senders.values()) {
      for (const session of sender.open) this.#finished.push(this.#summarise(sender, session))
      sender.open = []
    }
    return this.#finished
  }

  #advance(receivedAt: number): void {
    this.#streamTime = Math.max(this.#streamTime, receivedAt)
    if (this.#streamTime - this.#sweptAt > 10 * MINUTE) this.#sweep()
  }

  #addHit(record: RawRecord, ki: number, line: Line, raw: unknown): ExpectedHit {
    const read = readHit(raw)
    if (typeof read === 'string') return this.#dead(record, ki, line, read)
    const { site, userAgent, receivedAt } = line
    const { type, hitId, interactive, pageId, engagedMs } = read
    const stored = this.#settings.storedOf?.(this.#kp, record.offset, ki)
    const { hostname, path } = stored ?? read
    const arrival = type === 'engagement' ? read.arrival : (stored ?? read).arrival
    const time = occurredAt(line, (raw as { created_at?: number }).created_at)
    const sender = this.#sender(line)
    const botReason = stored?.botReason ?? (this.#settings.botReason ?? defaultBotReason)(userAgent)
    const isMarked = botReason !== '' && botReason !== FLOOD
    const day = this.#days.dayOf(site, time)

    const expected: Mutable<ExpectedHit> = {
      ...this.#placed(record, ki, line),
      ...{ type, hitId, hostname, path, time, day, isBot: isMarked, visitor: this.#visitor(sender, day) },
      isCertain: !this.#settings.isCut || this.#streamTime - this.#beganAt > DEDUP_MS,
    }
    const firstKept = sender.kept.get(hitId)
    if (firstKept !== undefined && firstKept >= this.#streamTime - DEDUP_MS) {
      expected.verdict = 'duplicate'
      return expected
    }
    sender.kept.set(hitId, receivedAt)

    expected.late = this.#streamTime - time > LATENESS_MS
    if (expected.late) return expected

    const isCertain = this.#isCertain(sender, time) && expected.isCertain
    const hit = { type, hitId, hostname, path, interactive, pageId, engagedMs, arrival, time, receivedAt }
    const kind = isMarked ? 'bot' : this.#kindOf(sender, hit, day)
    const session = this.#join(sender, hit, kind, day) ?? this.#openSession(sender, hit, kind, day, isCertain)
    expected.isBot = kind !== 'person'
    expected.visitor = session?.visitor ?? expected.visitor
    expected.session = session?.number ?? 0
    expected.isCertain = session?.isCertain ?? isCertain
    return expected
  }

  /** Of a hit that nothing else marks: part of a flood when one goes on, or when the session that it would join is one. */
  #kindOf(sender: Sender, hit: SessionHit, day: number): 'person' | 'flood' {
    if (this.#settings.siteOf?.(sender.site).allowsFloods) return 'person'
    if (this.#nearest(sender, hit, 'flood', day)) return 'flood'
    const session = hit.type === 'engagement' ? undefined : this.#nearest(sender, hit, 'person', day)
    if (!session) return 'person'
    const { hits, perSecond } = this.#settings.floodLimit ?? FLOOD_LIMIT
    const counted = session.pageViews + session.events
    const isTooFast = counted >= hits && counted > (perSecond * (session.end - session.start)) / 1_000
    return isTooFast && !isPrivate(sender.ip) ? 'flood' : 'person'
  }

  /** Where the log was cut, a sender is known after a pause in which everything of it is forgotten. */
  #isCertain(sender: Sender, time: number): boolean {
    if (!this.#settings.isCut) return true
    if (time > sender.uncertainUntil) return true
    sender.uncertainUntil = Math.max(sender.uncertainUntil, time + this.#pageMemoryMs + LATENESS_MS)
    return false
  }

  #dead(record: RawRecord, ki: number, line: { site: string; receivedAt: number }, reason: string): ExpectedHit {
    const dead = this.#placed(record, ki, line)
    dead.verdict = 'dead'
    dead.reason = reason
    dead.day = this.#days.dayOf(line.site, line.receivedAt)
    return dead
  }

  /** Where a hit is and when it came, with nothing read of it yet. */
  #placed({ offset }: RawRecord, ki: number, line: { site: string; receivedAt: number }): Mutable<ExpectedHit> {
    return {
      kp: this.#kp,
      ko: offset,
      ki,
      site: line.site,
      type: 'page_view',
      hitId: '',
      verdict: 'keep',
      reason: '',
      late: false,
      time: line.receivedAt,
      receivedAt: line.receivedAt,
      day: 0,
      isBot: false,
      hostname: '',
      path: '',
      visitor: '',
      session: 0,
      isCertain: true,
    }
  }

  #timeoutOf(site: string): number {
    return this.#settings.siteOf?.(site).sessionTimeoutMs ?? this.#settings.sessionTimeoutMs
  }

  #sender({ site, ip, userAgent, user }: Line): Sender {
    const isUser = user !== '' && this.#settings.siteOf?.(site).userIds === true
    const key = isUser ? `${site}\0${user}` : `${site}\0${ip}\0${userAgent}`
    return orMake(this.#senders, key, () => ({
      site,
      ip,
      userAgent,
      kept: new Map(),
      visitors: new Map(),
      pages: new Map(),
      open: [],
      uncertainUntil: this.#beganAt + this.#pageMemoryMs + LATENESS_MS,
    }))
  }

  /** The name of a sender on a local day. */
  #visitor(sender: Sender, day: number): string {
    return orMake(sender.visitors, day, () => {
      const salt = this.#settings.salts?.get(dateOfDay(day))
      if (!salt) return `#${++this.#numbers.visitor}`
      const rest = Buffer.from(`\0${sender.site}\0${sender.ip}\0${sender.userAgent}`)
      return hash('sha256', Buffer.concat([salt, rest]), 'hex').slice(0, 16)
    })
  }

  /** The session that a hit belongs to: the nearest that fits, of equally near ones the latest. */
  #nearest(sender: Sender, hit: SessionHit, kind: Kind, day: number): OpenSession | undefined {
    const fitting = sender.open.filter((session) => this.#fits(sender.site, session, hit, kind, day))
    return fitting.sort(
      (a, b) => distance(a, hit.time) - distance(b, hit.time) || b.start - a.start || b.number - a.number,
    )[0]
  }

  /** Adds the hit to the session that it belongs to. */
  #join(sender: Sender, hit: SessionHit, kind: Kind, day: number): OpenSession | undefined {
    const session = this.#nearest(sender, hit, kind, day)
    if (!session) return undefined
    session.end = Math.max(session.end, hit.time)
    session.engagedMs += this.#engagement(sender, hit)
    count(session, hit)
    if (hit.type !== 'engagement' && hit.time < session.start) {
      session.start = hit.time
      session.arrival = hit.arrival
    }
    return session
  }

  /**
   * What an engagement signal adds: signals tell totals of their page, and each millisecond counts once. What was told longer
   * than X ago is forgotten.
   */
  #engagement(sender: Sender, { type, pageId, engagedMs, receivedAt }: SessionHit): number {
    if (type !== 'engagement') return 0
    const told = this.#remembered(sender.pages.get(pageId) ?? [])
    const known = Math.max(0, ...told.map(({ total }) => total))
    const mayStillBeLargest = told.filter((page) => page.total > engagedMs || page.receivedAt > receivedAt)
    sender.pages.set(pageId, [...mayStillBeLargest, { total: engagedMs, receivedAt }])
    return Math.max(0, engagedMs - known)
  }

  #remembered(totals: readonly PageTotal[]): PageTotal[] {
    return totals.filter(({ receivedAt }) => receivedAt >= this.#streamTime - this.#pageMemoryMs)
  }

  /** X: how long what is forgotten by stream time is remembered. */
  get #pageMemoryMs(): number {
    const { sessionTimeoutMs, longestSessionTimeoutMs = sessionTimeoutMs } = this.#settings
    return Math.max(longestSessionTimeoutMs, DEDUP_MS) + LATENESS_MS
  }

  #fits(site: string, session: OpenSession, hit: SessionHit, kind: Kind, day: number): boolean {
    const timeout = this.#timeoutOf(site)
    const start = hit.type === 'engagement' ? session.start : Math.min(session.start, hit.time)
    const end = Math.max(session.end, hit.time)
    return (
      Math.abs(session.visitorDay - day) <= 1 &&
      hit.time >= session.start - timeout &&
      hit.time <= session.end + timeout &&
      end - start <= SESSION_CAP_MS &&
      session.kind === kind &&
      (hit.type === 'engagement' || !bringsNewArrival(hit.arrival, session.arrival))
    )
  }

  /** A page view or an event opens a session; an engagement signal never does. */
  #openSession(sender: Sender, hit: SessionHit, kind: Kind, day: number, isCertain: boolean): OpenSession | undefined {
    if (hit.type === 'engagement') return undefined
    const session: OpenSession = {
      number: ++this.#numbers.session,
      visitor: this.#visitor(sender, day),
      visitorDay: day,
      kind,
      start: hit.time,
      end: hit.time,
      arrival: hit.arrival,
      pageViews: 0,
      events: 0,
      entry: undefined,
      exit: undefined,
      isOnePage: true,
      hasInteractive: false,
      engagedMs: 0,
      isCertain,
    }
    count(session, hit)
    sender.open.push(session)
    return session
  }

  /** Forgets what no later hit can reach: this changes no result, it only frees memory. */
  #sweep(): void {
    this.#sweptAt = this.#streamTime
    const { sessionTimeoutMs, longestSessionTimeoutMs = sessionTimeoutMs } = this.#settings
    const reach = this.#streamTime - LATENESS_MS - longestSessionTimeoutMs
    for (const [key, sender] of this.#senders) {
      for (const session of sender.open) {
        if (session.end < reach) this.#finished.push(this.#summarise(sender, session))
      }
      sender.open = sender.open.filter((session) => session.end >= reach)
      for (const [hitId, receivedAt] of sender.kept) {
        if (receivedAt < this.#streamTime - DEDUP_MS) sender.kept.delete(hitId)
      }
      for (const [pageId, totals] of sender.pages) {
        if (this.#remembered(totals).length === 0) sender.pages.delete(pageId)
      }
      // A sender without a salt keeps its name, or it would come back as somebody else.
      const isGone = sender.open.length === 0 && sender.kept.size === 0 && sender.pages.size === 0
      if (isGone && this.#settings.salts) this.#senders.delete(key)
    }
  }

  #summarise(sender: Sender, session: OpenSession): ExpectedSession {
    const { number, visitor, kind, start, end, pageViews, events, entry, exit, engagedMs } = session
    const isBounce = pageViews > 0 && session.isOnePage && !session.hasInteractive && engagedMs < BOUNCE_ENGAGED_MS
    return {
      number,
      site: sender.site,
      visitor,
      isBot: kind !== 'person',
      day: this.#days.dayOf(sender.site, start),
      start,
      end,
      pageViews,
      events,
      isBounce,
      engagedMs,
      entryPath: entry?.path ?? '',
      exitPath: exit?.path ?? '',
      kp: this.#kp,
      isCertain: session.isCertain,
    }
  }
}

/** Adds a hit to what is told of its session. Of views at the same time, the first of the log was seen first. */
function count(session: OpenSession, hit: SessionHit): void {
  if (hit.type === 'event') {
    session.events += 1
    session.hasInteractive ||= hit.interactive
  }
  if (hit.type !== 'page_view') return
  session.pageViews += 1
  session.entry ??= hit
  session.exit ??= hit
  session.isOnePage &&= hit.hostname === session.entry.hostname && hit.path === session.entry.path
  if (hit.time < session.entry.time) session.entry = hit
  if (hit.time >= session.exit.time) session.exit = hit
}

function distance(session: OpenSession, time: number): number {
  if (time < session.start) return session.start - time
  if (time > session.end) return time - session.end
  return 0
}

function bringsNewArrival(arrival: Arrival, known: Arrival): boolean {
  const differs = (value: string, old: string): boolean => value !== '' && value !== old
  return differs(arrival.source, known.source) || arrival.utm.some((value, i) => differs(value, known.utm[i]!))
}

function defaultBotReason(userAgent: string): string {
  if (userAgent === '') return 'ua_missing'
  return /bot|crawl|spider/i.test(userAgent) ? 'ua_bot' : ''
}

function orMake<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}
