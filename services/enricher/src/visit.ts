import type { HitRow, SessionRow, SharedColumns } from '@millrace/shared'
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

/** A row in the making: its columns, but those of the visit as a whole. */
export type OpenRow = { -readonly [Column in Exclude<keyof HitRow, VisitColumn>]: HitRow[Column] } & Visit
/** As OpenRow, of a session. */
export type OpenSessionRow = {
  -readonly [Column in Exclude<keyof SessionRow, VisitColumn>]: SessionRow[Column]
} & Visit
