/** One hit through the whole pipeline. Read `enrich` top to bottom: this is the data flow. */
import {
  type BotReason,
  type DeadReason,
  type Hash64,
  type HitType,
  NIL_UUID,
  NO_HASH,
  ROW_SCHEMA,
  type SiteSettings,
  type Uuid,
} from '@millrace/shared'
import { NOTHING_SENT, type RawHit } from './raw-hit.ts'
import type { Sender } from './sender.ts'
import { type Agent, type AgentReader, NO_AGENT } from './steps/agent.ts'
import { type Arrival, NO_ARRIVAL, readArrival } from './steps/arrival.ts'
import { judge, type Rule, senderRulesOf } from './steps/bots.ts'
import type { GeoReader } from './steps/geo.ts'
import { type Language, readLanguage } from './steps/language.ts'
import { type Page, parsePage } from './steps/page.ts'
import { keptPath } from './steps/path.ts'
import { NOWHERE, type Place } from './steps/place.ts'
import { readProperties, readTags } from './steps/properties.ts'
import { NO_REFERRER, type Referrer, readReferrer } from './steps/referrer.ts'
import { readScreen } from './steps/screen.ts'
import { MAX_NAME, readCount, readMeasure, readText } from './steps/text.ts'
import { readTitle } from './steps/title.ts'
import type { OpenRow } from './visit.ts'

/** An enriched hit. The sessionizer still completes its row: the session fields, the verdict, `late` and the visit. */
export interface EnrichedHit {
  readonly row: OpenRow
  readonly sender: Sender
}

/** What the steps look things up in. */
export interface Tools {
  readonly agents: AgentReader
  /** Networks whose visitors are bots; missing = none. */
  readonly datacenters?: { has(address: string): boolean } | undefined
  readonly geo: Pick<GeoReader, 'locate' | 'source' | 'version'>
  /** Name and version of the program that writes the row. */
  readonly build: string
  /** Log epoch and partition. */
  readonly kp: number
}

const MAX_UINT8 = 100
const MAX_UINT16 = 65_535
const MAX_UINT32 = 4_294_967_295
const MAX_VALUE = 99_999_999_999_999

/** One row for every raw hit, whatever is in it; never throws. Pure but for the id of a visitor whose salt is gone. */
export function enrich(hit: RawHit, site: SiteSettings, tools: Tools): EnrichedHit {
  const { sender, sent } = hit
  if (hit.dead !== '') return dead(hit, hit.dead, site, tools)
  const type = readType(sent.type)
  const hitId = sent.hit_id
  if (type === null || hitId === null) return dead(hit, 'hit_invalid', site, tools)
  const page = parsePage(sent.url, type !== 'engagement')
  if (page === null) return dead(hit, 'url_invalid', site, tools)

  const { client } = sender
  client.seen ??= tools.agents.read(client)
  const { agent, rules } = client.seen
  const { referrer, rules: referrerRules } = readReferrer(sent.referrer)
  const botReason = judge(rules, senderRules(sender, tools), referrerRules, site) // a bot is marked, never dropped
  const arrival = type === 'engagement' ? NO_ARRIVAL : readArrival(page, referrer, site) // a signal brings nobody
  const place = placeOf(sender, tools)
  const visitorId = sender.visitor.own(hit.day) //                 last reader of the ip: it goes no further

  return keep(hit, site, tools, type, hitId, page, referrer, arrival, place, agent, botReason, visitorId)
}

/** Looked up once for a sender, until the database is another. */
function placeOf(sender: Sender, { geo }: Tools): Place {
  if (sender.place === null || sender.placedBy !== geo.source) {
    sender.place = geo.locate(sender.ip)
    sender.placedBy = geo.source
  }
  return sender.place
}

/** What the page says of its language counts before the header that the browser sends. */
function languageOf(sent: unknown, header: string): Language {
  const language = readLanguage(sent)
  return language.language === '' ? readLanguage(header) : language
}

/** Decided once for a sender, until the list of networks is another. */
function senderRules(sender: Sender, { datacenters }: Tools): readonly Rule[] {
  if (sender.broken === null || sender.judgedBy !== datacenters) {
    sender.broken = senderRulesOf({
      headers: sender.client.headers,
      inDatacenter: datacenters?.has(sender.ip) ?? false,
    })
    sender.judgedBy = datacenters
  }
  return sender.broken
}

function readType(type: unknown): HitType | null {
  if (type === undefined || type === 'page_view') return 'page_view'
  return type === 'event' || type === 'engagement' ? type : null
}

/** The row, every column in the order of the DDL. Session fields are those of a hit without a session. */
function keep(
  hit: RawHit,
  site: SiteSettings,
  tools: Tools,
  type: HitType,
  hitId: Uuid,
  page: Page,
  referrer: Referrer,
  arrival: Arrival,
  place: Place,
  agent: Agent,
  botReason: BotReason | '',
  visitorId: Hash64,
): EnrichedHit {
  const { sender, sent } = hit
  const isEvent = type === 'event'
  const isSignal = type === 'engagement'
  const mask = site.mask_values
  const properties = readProperties(isEvent ? sent.props : undefined, mask)
  const row: OpenRow = {
    site: sender.site,
    day: hit.day,
    time: hit.occurredAt,
    received_at: hit.receivedAt,
    type,
    verdict: 'keep',
    verdict_reason: '',
    late: false,
    hit_id: hitId,
    visitor_id: visitorId,
    session_id: NO_HASH,
    hostname: page.hostname,
    path: keptPath(page, sent.url, site),
    title: readTitle(sent.title, mask),
    route: readText(sent.route, MAX_NAME),
    referrer: referrer.url,
    arrival,
    entry_path: '',
    place,
    agent,
    language: languageOf(sent.language, sender.client.acceptLanguage),
    screen: readScreen(sent, agent.os),
    is_bot: botReason !== '',
    bot_reason: botReason,
    event_name: isEvent ? readText(sent.name, MAX_NAME) : '',
    value: isEvent ? readValue(sent.value) : 0,
    currency: isEvent ? readText(sent.currency, 3) : '',
    event_duration_ms: isEvent ? readCount(sent.duration_ms, MAX_UINT32) : 0,
    interactive: isEvent && sent.interactive !== false,
    props_text: properties.text,
    props_number: properties.number,
    tags: readTags(sent.tags, mask),
    page_id: isSignal ? (sent.page_id ?? NIL_UUID) : NIL_UUID,
    engaged_ms: isSignal ? readCount(sent.engaged_ms, MAX_UINT32) : 0,
    scroll_percent: isSignal ? readCount(sent.scroll_percent, MAX_UINT8) : 0,
    previous_path: '',
    previous_ms: 0,
    previous_depth: 0,
    http_method: sent.method === undefined ? '' : readText(sent.method, 16).toUpperCase(),
    http_status: readCount(sent.status, MAX_UINT16),
    request_ms: readMeasure(sent.request_ms, 86_400_000),
    sender: readText(sent.sender, 64),
    schema: ROW_SCHEMA,
    build: tools.build,
    kp: tools.kp,
    ko: hit.offset,
    ki: hit.index,
  }
  return { row, sender }
}

/** Money: in the range of the column; 0 for anything else. The writer rounds to four decimals. */
function readValue(value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) return 0
  return Math.min(Math.max(value, -MAX_VALUE), MAX_VALUE)
}

/** The row of a hit that cannot be read: when and where it came, and why it is dead. It has no visitor. */
function dead(hit: RawHit, reason: DeadReason, site: SiteSettings, tools: Tools): EnrichedHit {
  const bare: RawHit = {
    offset: hit.offset,
    index: hit.index,
    sender: hit.sender,
    receivedAt: hit.receivedAt,
    sent: NOTHING_SENT,
    occurredAt: hit.occurredAt,
    day: hit.day,
    dead: reason,
  }
  const type = readType(hit.sent.type) ?? 'page_view'
  const hitId = hit.sent.hit_id ?? NIL_UUID
  const noPage: Page = { hostname: '', path: '', query: '' }
  const enriched = keep(bare, site, tools, type, hitId, noPage, NO_REFERRER, NO_ARRIVAL, NOWHERE, NO_AGENT, '', NO_HASH)
  enriched.row.verdict = 'dead'
  enriched.row.verdict_reason = reason
  enriched.row.interactive = false
  return enriched
}
