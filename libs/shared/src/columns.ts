/**
 * The columns of a hit and of a session, spelled out once, in the order of the DDL (libs/store/migrations).
 * A test compares them with DESCRIBE TABLE; docs/reference/schema.md describes each.
 */
export type ColumnType =
  | 'LowCardinality(String)'
  | 'String'
  | 'UUID'
  | 'Date'
  | "DateTime64(3, 'UTC')"
  | 'Bool'
  | 'Int8'
  | 'UInt8'
  | 'UInt16'
  | 'UInt32'
  | 'UInt64'
  | 'Float32'
  | 'Decimal(18, 4)'
  | 'Map(LowCardinality(String), String)'
  | 'Map(LowCardinality(String), Float64)'
  | "Enum8('page_view' = 1, 'event' = 2, 'engagement' = 3)"
  | "Enum8('keep' = 1, 'duplicate' = 2, 'dead' = 3, 'marker' = 4)"

const LC = 'LowCardinality(String)'
const TIME = "DateTime64(3, 'UTC')"

/** Arrival, place and device: repeated on every hit of a session, and on the session itself. */
const ARRIVAL = {
  session_referrer: 'String',
  referrer_name: LC,
  channel: LC,
  utm_source: LC,
  utm_medium: LC,
  utm_campaign: LC,
  utm_content: LC,
  utm_term: LC,
  click_id_kind: LC,
} as const
const PLACE = { country: LC, region: LC, region_name: LC, city: LC } as const
const DEVICE = {
  browser: LC,
  browser_version: LC,
  os: LC,
  os_version: LC,
  device: LC,
  device_type: LC,
  platform: LC,
  client_kind: LC,
  language: LC,
  language_region: LC,
  screen_class: LC,
  screen_width: 'UInt16',
  screen_height: 'UInt16',
  pixel_ratio: 'Float32',
  orientation: LC,
} as const

/** One row per raw hit. */
export const HIT_COLUMNS = {
  site: LC,
  day: 'Date',
  time: TIME,
  received_at: TIME,
  type: "Enum8('page_view' = 1, 'event' = 2, 'engagement' = 3)",
  verdict: "Enum8('keep' = 1, 'duplicate' = 2, 'dead' = 3, 'marker' = 4)",
  verdict_reason: LC,
  late: 'Bool',
  hit_id: 'UUID',
  visitor_id: 'UInt64',
  session_id: 'UInt64',
  hostname: LC,
  path: 'String',
  title: 'String',
  route: LC,
  referrer: 'String',
  ...ARRIVAL,
  entry_path: 'String',
  ...PLACE,
  ...DEVICE,
  is_bot: 'Bool',
  bot_reason: LC,
  event_name: LC,
  value: 'Decimal(18, 4)',
  currency: LC,
  event_duration_ms: 'UInt32',
  interactive: 'Bool',
  props_text: 'Map(LowCardinality(String), String)',
  props_number: 'Map(LowCardinality(String), Float64)',
  tags: 'Map(LowCardinality(String), String)',
  page_id: 'UUID',
  engaged_ms: 'UInt32',
  scroll_percent: 'UInt8',
  previous_path: 'String',
  previous_ms: 'UInt32',
  previous_depth: 'UInt8',
  http_method: LC,
  http_status: 'UInt16',
  request_ms: 'Float32',
  sender: LC,
  schema: 'UInt16',
  build: LC,
  kp: 'UInt32',
  ko: 'UInt64',
  ki: 'UInt16',
} as const satisfies Record<string, ColumnType>

/** A signed session row, as `sessions` keeps it. */
export const SESSION_COLUMNS = {
  site: LC,
  day: 'Date',
  session_id: 'UInt64',
  version: 'UInt32',
  sign: 'Int8',
  visitor_id: 'UInt64',
  start: TIME,
  end: TIME,
  duration_ms: 'UInt32',
  page_views: 'UInt32',
  events: 'UInt32',
  is_bounce: 'UInt8',
  engaged_ms: 'UInt32',
  hostname: LC,
  entry_path: 'String',
  exit_path: 'String',
  exit_title: 'String',
  ...ARRIVAL,
  ...PLACE,
  ...DEVICE,
  is_bot: 'Bool',
  bot_reason: LC,
  kp: 'UInt32',
  ko: 'UInt64',
  exit_at: TIME,
  exit_signal_at: TIME,
  exit_depth: 'UInt8',
  pages_in_order: 'Bool',
} as const satisfies Record<string, ColumnType>

/** What the sessionizer needs besides to go on after a restart: in hits.enriched, not in the table. */
export const SESSION_STATE_COLUMNS = {
  entry_at: TIME,
  exit_page_id: 'UUID',
  /** 1 after a second page or an interactive event: the session is no bounce, whatever comes. */
  engaging: 'Bool',
} as const satisfies Record<string, ColumnType>

/** The `sessions` block of an enriched record, and the table `sessions_in`. */
export const SESSION_BLOCK_COLUMNS = { ...SESSION_COLUMNS, ...SESSION_STATE_COLUMNS } as const

/** The value that JavaScript holds for a column of type T. */
export type ValueOf<T> = T extends 'Bool'
  ? boolean
  : T extends `Map(${string}, String)`
    ? Readonly<Record<string, string>>
    : T extends `Map(${string}, Float64)`
      ? Readonly<Record<string, number>>
      : T extends `Enum8('page_view'${string}`
        ? 'page_view' | 'event' | 'engagement'
        : T extends `Enum8('keep'${string}`
          ? 'keep' | 'duplicate' | 'dead' | 'marker'
          : T extends 'LowCardinality(String)' | 'String' | 'UUID'
            ? string
            : number

/** UInt64 columns that hold hashes: 16 lowercase hex digits in JavaScript (numbers would lose bits, bigints are slow). */
type Hashes = 'visitor_id' | 'session_id'
type RowOf<C extends Record<string, ColumnType>> = { [K in keyof C]: K extends Hashes ? string : ValueOf<C[K]> }

/**
 * One hit as stored. Times are milliseconds since the epoch, `day` is days since 1970-01-01 in the site's time zone,
 * `value` is in whole units with at most four decimals, hashes are 16 hex digits ('0000000000000000' = none).
 */
export type HitRow = RowOf<typeof HIT_COLUMNS>
/** One signed session row with the sessionizer's state. Units as in HitRow. */
export type SessionRow = RowOf<typeof SESSION_BLOCK_COLUMNS>

/** A map without entries. Rows that use this one are written faster. */
export const NO_ENTRIES: Readonly<Record<string, never>> = Object.freeze(Object.create(null))
export const NO_ID = '0000000000000000'
export const NO_UUID = '00000000-0000-0000-0000-000000000000'
/** Version of the columns above; rises when one is added or changes its meaning. */
export const ROW_SCHEMA = 3
