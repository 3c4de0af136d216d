import type { Hash64, HitRow, SessionRow, SharedColumns, Uuid } from '@millrace/shared'
import type { Agent } from './steps/agent.ts'
import type { Arrival } from './steps/arrival.ts'
import type { Language } from './steps/language.ts'
import type { Place } from './steps/place.ts'
import type { Screen } from './steps/screen.ts'

/** How, from where and with what a visitor came: the same on a session and on each of its hits. */
export interface Visit {
  arrival: Arrival
  place: Place
  agent: Agent
  language: Language
  screen: Screen
}

/** The columns that hold it, by the property of a visit, and what of it each of them holds. */
export const VISIT_COLUMNS = {
  arrival: {
    session_referrer: 'referrer',
    referrer_name: 'referrerName',
    channel: 'channel',
    utm_source: 'utmSource',
    utm_medium: 'utmMedium',
    utm_campaign: 'utmCampaign',
    utm_content: 'utmContent',
    utm_term: 'utmTerm',
    click_id_kind: 'clickIdKind',
  },
  place: { country: 'country', region: 'region', region_name: 'regionName', city: 'city' },
  agent: {
    browser: 'browser',
    browser_version: 'browserVersion',
    os: 'os',
    os_version: 'osVersion',
    device: 'device',
    device_type: 'deviceType',
    platform: 'platform',
    client_kind: 'clientKind',
  },
  language: { language: 'language', language_region: 'region' },
  screen: {
    screen_class: 'class',
    screen_width: 'width',
    screen_height: 'height',
    pixel_ratio: 'pixelRatio',
    orientation: 'orientation',
  },
} as const satisfies { readonly [Part in keyof Visit]: Readonly<Record<string, keyof Visit[Part]>> & SharedColumns }

type ColumnsOf<Part> = Part extends unknown ? keyof Part : never
type VisitColumn = ColumnsOf<(typeof VISIT_COLUMNS)[keyof Visit]>

/** Columns of ids, that are words as long as a row is in the making. */
interface Ids {
  hit_id: Uuid
  page_id: Uuid
  exit_page_id: Uuid
  visitor_id: Hash64
  session_id: Hash64
}

type Open<Row> = {
  -readonly [Column in Exclude<keyof Row, VisitColumn>]: Column extends keyof Ids ? Ids[Column] : Row[Column]
} & Visit

/** A row in the making: its columns, but those of the visit as a whole. */
export type OpenRow = Open<HitRow>
/** As OpenRow, of a session. */
export type OpenSessionRow = Open<SessionRow>
