/**
 * An independent sequential recount of hits.raw, written from the documented meaning of the numbers and from nothing
 * else: plain, slow, obviously right. It shares no code with the enricher, so that a fault of one is seen by the other.
 */
import { hash } from 'node:crypto'
import { dateOfDay, type HitType, kpOf, LocalDays, type Verdict } from '@millrace/shared'
import type { Arrival } from './read-arrival.ts'
import { type Line, linesOf, occurredAt, type ReadHit, readHit, readLine } from './read-raw-line.ts'

const MINUTE = 60_000
const HOUR = 60 * MINUTE
/** How far a hit may be behind the stream and still belong to a session. */
const LATENESS_MS = 15 * MINUTE
const DEDUP_MS = HOUR
const SESSION_CAP_MS = 24 * HOUR
const BOUNCE_ENGAGED_MS = 10_000

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
  /** Where the timeout changes from record to record: the longest of them. */
  readonly longestSessionTimeoutMs?: number
  readonly epoch: number
  /** Salts by date (`2026-11-22`). A visitor whose salt is not given is named `#n`: compare those up to renaming. */
  readonly salts?: ReadonlyMap<string, Buffer>
  /** Why a user agent is taken for a bot's; '' = a person. */
  readonly botReason?: (userAgent: string) => string
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
  const days = new LocalDays(settings.zone)
  for await (const { partition, batches } of partitions) {
    const stream = new PartitionRecount(kpOf(settings.epoch, partition), settings, days, numbers)
    for await (const batch of batches) {
      for (const record of batch) {
        for (const hit of stream.addRecord(record)) {
          countHit(totals, hit)
          await onHit(hit)
        }
      }
    }
    for (const session of stream.finish()) countSession(totals, session)
  }
  return totals
}

function countHit(totals: Recount, hit: ExpectedHit): void {
  const mutable = totals as { rawHits: number; lateHits: number }
  mutable.rawHits += 1
  totals.verdicts[hit.verdict as 'keep' | 'duplicate' | 'dead'] += 1
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

/** A visit that may still be joined: its hits in the order of the log, and what decides whether another one joins. */
interface OpenSession {
  readonly number: number
  readonly visitor: string
  /** Local day of the hit that opened it; the visitor's name is of this day. */
  readonly visitorDay: number
  readonly isBot: boolean
  readonly hits: SessionHit[]
  start: number
  end: number
  /** Of the earliest hit. */
  arrival: Arrival
  engagedMs: number
}

/** Who sent a hit: one site, address and agent. */
interface Sender {
  readonly site: string
  readonly ip: string
  readonly userAgent: string
  /** received_at of the first keep of each hit_id. */
  readonly kept: Map<string, number>
  readonly visitors: Map<number, string>
  /** By page_id: the largest total of engagement that a session was given, and when its last signal came. */
  readonly pages: Map<string, { total: number; receivedAt: number }>
  open: OpenSession[]
}

class PartitionRecount {
  readonly #kp: number
  readonly #settings: RecountSettings
  readonly #days: LocalDays
  readonly #numbers: { visitor: number; session: number }
  readonly #senders = new Map<string, Sender>()
  readonly #finished: ExpectedSession[] = []
  /** S: largest received_at so far. */
  #streamTime = 0
  #sweptAt = 0

  constructor(kp: number, settings: RecountSettings, days: LocalDays, numbers: { visitor: number; session: number }) {
    this.#kp = kp
    this.#settings = settings
    this.#days = days
    this.#numbers = numbers
  }

  *addRecord(record: RawRecord): Iterable<ExpectedHit> {
    let ki = 0
    for (const text of linesOf(record.value)) {
      const line = readLine(text, record.timestamp)
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

  /** Every session of the partition, in no particular order. */
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
    const hit = readHit(raw)
    if (typeof hit === 'string') return this.#dead(record, ki, line, hit)
    const time = occurredAt(line, (raw as { created_at?: number }).created_at)
    const sender = this.#sender(line)
    const isBot = (this.#settings.botReason ?? defaultBotReason)(line.userAgent) !== ''
    const day = this.#days.dayOf(time)
    const expected = {
      ...{ kp: this.#kp, ko: record.offset, ki, site: line.site, type: hit.type, hitId: hit.hitId },
      ...{ verdict: 'keep' as const, reason: '', late: false, time, receivedAt: line.receivedAt, day, isBot },
      ...{ hostname: hit.hostname, path: hit.path, visitor: this.#visitor(sender, day), session: 0 },
    }
    const firstKept = sender.kept.get(hit.hitId)
    if (firstKept !== undefined && firstKept >= this.#streamTime - DEDUP_MS)
      return { ...expected, verdict: 'duplicate' }
    sender.kept.set(hit.hitId, line.receivedAt)

    if (this.#streamTime - time > LATENESS_MS) return { ...expected, late: true }

    const sessionHit = { ...hit, time, receivedAt: line.receivedAt }
    const session = this.#join(sender, sessionHit, isBot, day) ?? this.#openSession(sender, sessionHit, isBot, day)
    if (!session) return expected
    return { ...expected, visitor: session.visitor, session: session.number }
  }

  #dead(record: RawRecord, ki: number, line: { site: string; receivedAt: number }, reason: string): ExpectedHit {
    const { site, receivedAt } = line
    return {
      ...{
        kp: this.#kp,
        ko: record.offset,
        ki,
        site,
        type: 'page_view',
        hitId: '',
        verdict: 'dead',
        reason,
        late: false,
      },
      ...{ time: receivedAt, receivedAt, day: this.#days.dayOf(receivedAt), isBot: false, hostname: '', path: '' },
      ...{ visitor: '', session: 0 },
    }
  }

  #sender({ site, ip, userAgent }: Line): Sender {
    const key = `${site}\0${ip}\0${userAgent}`
    return orMake(this.#senders, key, () => ({
      site,
      ip,
      userAgent,
      kept: new Map(),
      visitors: new Map(),
      pages: new Map(),
      open: [],
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

  /** Adds the hit to the session that it belongs to: the nearest that fits, of equally near ones the latest. */
  #join(sender: Sender, hit: SessionHit, isBot: boolean, day: number): OpenSession | undefined {
    const fitting = sender.open.filter((session) => this.#fits(session, hit, isBot, day))
    const session = fitting.sort(
      (a, b) => distance(a, hit.time) - distance(b, hit.time) || b.start - a.start || b.number - a.number,
    )[0]
    if (!session) return undefined
    session.hits.push(hit)
    session.end = Math.max(session.end, hit.time)
    session.engagedMs += this.#engagement(sender, hit)
    if (hit.type !== 'engagement' && hit.time < session.start) {
      session.start = hit.time
      session.arrival = hit.arrival
    }
    return session
  }

  /**
   * What an engagement signal adds: signals tell totals of their page, and each millisecond counts once. A page that was
   * silent for longer than X starts again at 0.
   */
  #engagement(sender: Sender, { type, pageId, engagedMs, receivedAt }: SessionHit): number {
    if (type !== 'engagement') return 0
    const page = sender.pages.get(pageId)
    const known = page && page.receivedAt >= this.#streamTime - this.#pageMemoryMs ? page.total : 0
    sender.pages.set(pageId, { total: Math.max(known, engagedMs), receivedAt })
    return Math.max(0, engagedMs - known)
  }

  /** X: how long what is forgotten by stream time is remembered. */
  get #pageMemoryMs(): number {
    return Math.max(this.#settings.sessionTimeoutMs, DEDUP_MS) + LATENESS_MS
  }

  #fits(session: OpenSession, hit: SessionHit, isBot: boolean, day: number): boolean {
    const timeout = this.#settings.sessionTimeoutMs
    const start = hit.type === 'engagement' ? session.start : Math.min(session.start, hit.time)
    const end = Math.max(session.end, hit.time)
    return (
      Math.abs(session.visitorDay - day) <= 1 &&
      hit.time >= session.start - timeout &&
      hit.time <= session.end + timeout &&
      end - start <= SESSION_CAP_MS &&
      session.isBot === isBot &&
      (hit.type === 'engagement' || !bringsNewArrival(hit.arrival, session.arrival))
    )
  }

  /** A page view or an event opens a session; an engagement signal never does. */
  #openSession(sender: Sender, hit: SessionHit, isBot: boolean, day: number): OpenSession | undefined {
    if (hit.type === 'engagement') return undefined
    const session: OpenSession = {
      number: ++this.#numbers.session,
      visitor: this.#visitor(sender, day),
      visitorDay: day,
      isBot,
      hits: [hit],
      start: hit.time,
      end: hit.time,
      arrival: hit.arrival,
      engagedMs: 0,
    }
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
      for (const [pageId, { receivedAt }] of sender.pages) {
        if (receivedAt < this.#streamTime - this.#pageMemoryMs) sender.pages.delete(pageId)
      }
      // A sender without a salt keeps its name, or it would come back as somebody else.
      const isGone = sender.open.length === 0 && sender.kept.size === 0 && sender.pages.size === 0
      if (isGone && this.#settings.salts) this.#senders.delete(key)
    }
  }

  #summarise(sender: Sender, session: OpenSession): ExpectedSession {
    const { number, visitor, isBot, start, end, hits, engagedMs } = session
    const views = hits.filter((hit) => hit.type === 'page_view')
    const events = hits.filter((hit) => hit.type === 'event')
    // Sorting is stable: of views at the same time, the first of the log stays first.
    const byTime = views.toSorted((a, b) => a.time - b.time)
    const samePage = views.every((view) => view.hostname === views[0]!.hostname && view.path === views[0]!.path)
    const isBounce =
      views.length > 0 && samePage && !events.some((event) => event.interactive) && engagedMs < BOUNCE_ENGAGED_MS
    return {
      ...{ number, site: sender.site, visitor, isBot, day: this.#days.dayOf(start), start, end },
      ...{ pageViews: views.length, events: events.length, isBounce, engagedMs },
      ...{ entryPath: byTime.at(0)?.path ?? '', exitPath: byTime.at(-1)?.path ?? '' },
    }
  }
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
