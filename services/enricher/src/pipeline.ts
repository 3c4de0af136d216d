/** One hit through the whole pipeline. Read `enrich` top to bottom: this is the data flow. */
import {
  type DeadReason,
  type HitRow,
  type HitType,
  NO_ID,
  NO_UUID,
  ROW_SCHEMA,
  type SiteSettings,
} from '@millrace/shared'
import type { RawHit } from './raw-hit.ts'
import type { Agent, AgentReader } from './steps/agent.ts'
import { type Arrival, NO_ARRIVAL, readArrival } from './steps/arrival.ts'
import { primaryLanguage } from './steps/language.ts'
import { type Page, parsePage } from './steps/page.ts'
import { NOWHERE, type Place } from './steps/place.ts'
import { readProperties, readTags } from './steps/properties.ts'
import { cleanReferrer, type Referrer } from './steps/referrer.ts'
import { MAX_NAME, MAX_TITLE, readCount, readMeasure, readText } from './steps/text.ts'
import { readUuid } from './steps/uuid.ts'
import type { VisitorIds } from './steps/visitor.ts'

/** A row that the sessionizer still completes: its session fields, its verdict and `late`. */
export type OpenRow = { -readonly [Column in keyof HitRow]: HitRow[Column] }

/** An enriched hit: its row, and the parts of it that a session shares instead of copying. */
export interface EnrichedHit {
  readonly row: OpenRow
  readonly visitor: VisitorIds
  readonly arrival: Arrival
  readonly place: Place
  readonly agent: Agent
}

/** What the steps look things up in. */
export interface Tools {
  readonly agents: AgentReader
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
export function enrich(hit: RawHit, _site: SiteSettings, tools: Tools): EnrichedHit {
  const { line, sent } = hit
  if (hit.dead !== '') return dead(hit, hit.dead, tools)
  const type = readType(sent.type)
  const hitId = readUuid(sent.hit_id)
  if (type === null || hitId === '') return dead(hit, 'hit_invalid', tools)
  const page = parsePage(sent.url, type !== 'engagement')
  if (page === null) return dead(hit, 'url_invalid', tools)

  const agent = tools.agents.read(line.userAgent) //            a bot is marked, never dropped
  const referrer = cleanReferrer(sent.referrer)
  const arrival = type === 'engagement' ? NO_ARRIVAL : readArrival(page, referrer) // a signal brings nobody
  const visitorId = line.visitor.own(hit.day) //                 last reader of the ip: it goes no further

  return keep(hit, tools, type, hitId, page, referrer, arrival, NOWHERE, agent, visitorId)
}

function readType(type: unknown): HitType | null {
  if (type === undefined || type === 'page_view') return 'page_view'
  return type === 'event' || type === 'engagement' ? type : null
}

/** The row, every column in the order of the DDL. Session fields are those of a hit without a session. */
function keep(
  hit: RawHit,
  tools: Tools,
  type: HitType,
  hitId: string,
  page: Page,
  referrer: Referrer,
  arrival: Arrival,
  place: Place,
  agent: Agent,
  visitorId: string,
): EnrichedHit {
  const { line, sent } = hit
  const isEvent = type === 'event'
  const isSignal = type === 'engagement'
  const properties = readProperties(isEvent ? sent.props : undefined)
  const row: OpenRow = {
    site: line.site,
    day: hit.day,
    time: hit.occurredAt,
    received_at: line.receivedAt,
    type,
    verdict: 'keep',
    verdict_reason: '',
    late: false,
    hit_id: hitId,
    visitor_id: visitorId,
    session_id: NO_ID,
    hostname: page.hostname,
    path: page.path,
    title: readText(sent.title, MAX_TITLE),
    route: readText(sent.route, MAX_NAME),
    referrer: referrer.url,
    session_referrer: arrival.referrer,
    referrer_name: arrival.referrerName,
    channel: arrival.channel,
    utm_source: arrival.utmSource,
    utm_medium: arrival.utmMedium,
    utm_campaign: arrival.utmCampaign,
    utm_content: arrival.utmContent,
    utm_term: arrival.utmTerm,
    click_id_kind: arrival.clickIdKind,
    entry_path: '',
    country: place.country,
    region: place.region,
    region_name: place.regionName,
    city: place.city,
    browser: agent.browser,
    browser_version: agent.browserVersion,
    os: agent.os,
    os_version: agent.osVersion,
    device: agent.device,
    device_type: agent.deviceType,
    platform: agent.platform,
    client_kind: agent.clientKind,
    language: primaryLanguage(sent.language) || primaryLanguage(line.acceptLanguage),
    screen_class: '',
    screen_width: readCount(sent.screen_width, MAX_UINT16),
    screen_height: readCount(sent.screen_height, MAX_UINT16),
    pixel_ratio: readMeasure(sent.pixel_ratio, 100),
    is_bot: agent.botReason !== '',
    bot_reason: agent.botReason,
    event_name: isEvent ? readText(sent.name, MAX_NAME) : '',
    value: isEvent ? readValue(sent.value) : 0,
    currency: isEvent ? readText(sent.currency, 3) : '',
    event_duration_ms: isEvent ? readCount(sent.duration_ms, MAX_UINT32) : 0,
    interactive: isEvent && sent.interactive !== false,
    props_text: properties.text,
    props_number: properties.number,
    tags: readTags(sent.tags),
    page_id: isSignal ? readUuid(sent.page_id) || NO_UUID : NO_UUID,
    engaged_ms: isSignal ? readCount(sent.engaged_ms, MAX_UINT32) : 0,
    scroll_percent: isSignal ? readCount(sent.scroll_percent, MAX_UINT8) : 0,
    previous_path: '',
    previous_ms: 0,
    http_method: readText(sent.method, 16),
    http_status: readCount(sent.status, MAX_UINT16),
    request_ms: readMeasure(sent.request_ms, 86_400_000),
    sender: readText(sent.sender, 64),
    schema: ROW_SCHEMA,
    build: tools.build,
    kp: tools.kp,
    ko: hit.offset,
    ki: hit.index,
  }
  return { row, visitor: line.visitor, arrival, place, agent }
}

/** Money: in the range of the column; 0 for anything else. The writer rounds to four decimals. */
function readValue(value: unknown): number {
  if (typeof value !== 'number' || Number.isNaN(value)) return 0
  return Math.min(Math.max(value, -MAX_VALUE), MAX_VALUE)
}

/** No agent: what a dead hit has. */
const NO_AGENT: Agent = {
  browser: '',
  browserVersion: '',
  os: '',
  osVersion: '',
  device: '',
  deviceType: 'unknown',
  platform: 'unknown',
  clientKind: 'browser',
  botReason: '',
}

/** The row of a hit that cannot be read: when and where it came, and why it is dead. It has no visitor. */
function dead(hit: RawHit, reason: DeadReason, tools: Tools): EnrichedHit {
  const bare: RawHit = {
    offset: hit.offset,
    index: hit.index,
    line: hit.line,
    sent: {},
    occurredAt: hit.occurredAt,
    day: hit.day,
    dead: reason,
  }
  const type = readType(hit.sent.type) ?? 'page_view'
  const hitId = readUuid(hit.sent.hit_id) || NO_UUID
  const noPage: Page = { hostname: '', path: '', query: '' }
  const noReferrer: Referrer = { url: '', hostname: '' }
  const enriched = keep(bare, tools, type, hitId, noPage, noReferrer, NO_ARRIVAL, NOWHERE, NO_AGENT, NO_ID)
  enriched.row.verdict = 'dead'
  enriched.row.verdict_reason = reason
  enriched.row.interactive = false
  return enriched
}
