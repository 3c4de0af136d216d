import type { Store } from '@millrace/store'

export interface SiteToFill {
  readonly site: string
  /** About so many rows of hits come of it: 3.45 a session. */
  readonly sessions: number
  /** Day number of the last of `days` days. */
  readonly lastDay: number
  readonly days: number
  readonly seed: number
}

/** Sessions of one statement: its months stay below the limit of partitions, its memory below 1 GB. */
const CHUNK = 150_000

/** From 0 to 1, fixed by session, topic and seed. */
const chance = (topic: number, of = 's'): string =>
  `(sipHash64(${of}, ${topic}, {seed:UInt32}) / 18446744073709551616.)`
const oneOf = (topic: number, power: number, names: readonly string[]): string =>
  `[${names.map((name) => `'${name}'`).join(', ')}][1 + toUInt32(${names.length} * pow(${chance(topic)}, ${power}))]`

const COUNTRIES = 'DE AT US CH GB FR NL PL IT ES CA IN BR JP SE BE CZ AU DK NO FI PT IE HU RO'.split(' ')
const BROWSERS = ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet', 'Opera']
const SYSTEMS = ['Windows', 'iOS', 'Android', 'macOS', 'Linux']
const PATHS = 3_000

const pathOf = (page: string): string =>
  `if(${page} = 0 AND ${chance(20)} < 0.25, '/', concat('/', ['blog', 'docs', 'shop', 'help'][1 + n % 4], '/page-', toString(n)))`
    .replaceAll('n %', `toUInt32(${PATHS} * pow(${chance(21, `s * 16 + ${page}`)}, 4)) %`)
    .replaceAll('toString(n)', `toString(toUInt32(${PATHS} * pow(${chance(21, `s * 16 + ${page}`)}, 4)))`)

/** Columns that hits and sessions share, as SQL over the session's number `s`. */
const SHARED: Readonly<Record<string, string>> = {
  visitor_id: `sipHash64(day_offset, toUInt32(${chance(2)} * {daily_visitors:UInt32}), {seed:UInt32})`,
  session_id: 'sipHash64(s, {seed:UInt32})',
  hostname: `if(${chance(3)} < 0.9, 'example.com', 'docs.example.com')`,
  session_referrer: `if(source = 0, '', concat('https://', referrer_name, '.example/'))`,
  referrer_name: `if(source = 0, '', concat('source-', toString(source)))`,
  channel: `if(source = 0, 'Direct', ['Organic Search', 'Organic Social', 'Referral', 'Email'][1 + source % 4])`,
  utm_source: `if(${chance(5)} < 0.08, ['newsletter', 'ads', 'social'][1 + toUInt32(3 * ${chance(6)})], '')`,
  utm_medium: `if(utm_source = '', '', ['email', 'cpc'][1 + toUInt32(2 * ${chance(7)})])`,
  utm_campaign: `if(utm_source = '', '', concat('campaign-', toString(toUInt32(20 * ${chance(8)}))))`,
  country: oneOf(9, 3, COUNTRIES),
  region: `concat(country, '-', toString(toUInt32(16 * ${chance(10)})))`,
  city: `concat('City ', region, ' ', toString(toUInt32(20 * pow(${chance(11)}, 2))))`,
  browser: oneOf(12, 2, BROWSERS),
  browser_version: `toString(120 + toUInt32(20 * ${chance(13)}))`,
  os: oneOf(14, 1.6, SYSTEMS),
  os_version: `toString(10 + toUInt32(8 * ${chance(15)}))`,
  device_type: `if(os IN ('iOS', 'Android'), 'phone', 'desktop')`,
  platform: `if(device_type = 'phone', 'mobile', 'desktop')`,
  client_kind: `'browser'`,
  language: `lower(substring(country, 1, 2))`,
  screen_class: `if(device_type = 'phone', 'xs', ['lg', 'xl', '2xl'][1 + toUInt32(3 * ${chance(16)})])`,
  is_bot: `${chance(17)} < 0.06`,
  bot_reason: `if(is_bot, ['ua_bot', 'datacenter_ip', 'ua_library'][1 + toUInt32(3 * ${chance(18)})], '')`,
}

/** The sessions `from` to `to` and what their hits are made of. Day by day evenly, more in the afternoon. */
const SESSIONS = `SELECT number AS s,
  toUInt32(${chance(0)} * {days:UInt32}) AS day_offset,
  toDate({first_day:UInt32}) + day_offset AS day,
  toUnixTimestamp(day) * 1000 + toUInt64(86400000 * (${chance(1)} + ${chance(19)}) / 2) AS start_ms,
  least(1 + toUInt32(-log(1 - ${chance(22)}) * 1.75), 15) AS pages,
  if(${chance(4)} < 0.4, 0, 1 + toUInt32(400 * pow(${chance(23)}, 4))) AS source
FROM numbers({from:UInt64}, {to:UInt64} - {from:UInt64})`

/** Share of sessions in which signals come after the next page view: of visitors who go on reading a page in another tab. */
const LATE_SIGNALS = 0.05
/** Share of sessions whose page times are no sums: a page view of theirs came late. */
const OUT_OF_ORDER = 0.0025

const hasEvent = (page: string): string => `${chance(24, `s * 16 + ${page}`)} < 0.12`
const isMeasured = (page: string): string => `${chance(25, `s * 16 + ${page}`)} < 0.55`
/** A signal that comes late is the only one of its page, a second after the next page view. */
const comesLate = (page: string): string => `(${chance(28)} < ${LATE_SIGNALS} AND ${page} < pages - 1)`
const secondsOf = (page: string): string => `toUInt32(90 * pow(${chance(26, `s * 16 + ${page}`)}, 2) + 3)`
const sharedColumns = Object.entries(SHARED).map(([name, sql]) => `${sql} AS ${name}`)

const HITS = `INSERT INTO millrace.hits_in (site, day, time, received_at, type, verdict, hit_id, path, title, route, event_name, value, currency,
  event_duration_ms, interactive, props_text, props_number, tags, page_id, engaged_ms, scroll_percent, http_status, request_ms,
  entry_path, previous_path, previous_ms, previous_depth, kp, ko, ki, ${Object.keys(SHARED).join(', ')})
SELECT {site:String} AS site, day, fromUnixTimestamp64Milli(toInt64(start_ms + 100000 * page + if(is_late, 101000, slot * 1000 * least(seconds, 90))), 'UTC') AS time,
  time AS received_at, CAST(1 + slot, 'Enum8(\\'page_view\\' = 1, \\'event\\' = 2, \\'engagement\\' = 3)') AS type, 'keep' AS verdict,
  reinterpretAsUUID(sipHash128(s, page, slot)) AS hit_id, ${pathOf('page')} AS path, concat('Title of ', path) AS title,
  splitByChar('-', path)[1] AS route, if(slot = 1, ['signup', 'download', 'play', 'buy'][1 + s % 4], '') AS event_name,
  if(event_name = 'buy', toDecimal64(5 + s % 90, 4), toDecimal64(0, 4)) AS value, if(event_name = 'buy', 'EUR', '') AS currency,
  if(event_name = 'play', 1000 * toUInt32(seconds), 0) AS event_duration_ms, 1 AS interactive,
  if(slot = 1, map('plan', ['free', 'team', 'pro'][1 + s % 3]), map()) AS props_text,
  if(slot = 1, map('seats', toFloat64(s % 20)), map()) AS props_number,
  map('section', splitByChar('/', path)[2]) AS tags,
  if(slot = 2, reinterpretAsUUID(sipHash128(s, page, 0)), toUUID('00000000-0000-0000-0000-000000000000')) AS page_id,
  if(slot = 2, seconds * 1000, 0) AS engaged_ms, if(slot = 2, 10 + s % 91, 0) AS scroll_percent,
  if(slot = 0, 200, 0) AS http_status, if(slot = 0 AND page % 2 = 0, toFloat32(5 + 200 * pow(${chance(27)}, 6)), 0) AS request_ms,
  ${pathOf('0')} AS entry_path, multiIf(is_late, path, slot = 0 AND page > 0, ${pathOf('(page - 1)')}, '') AS previous_path,
  multiIf(is_late, 101000, slot = 0 AND page > 0, 100000, 0) AS previous_ms,
  if(is_late OR (slot = 0 AND page > 0 AND ${isMeasured('(page - 1)')} AND NOT ${comesLate('(page - 1)')}), 10 + s % 91, 0) AS previous_depth, 0 AS kp, s AS ko, page * 3 + slot AS ki, ${sharedColumns.join(',\n  ')}
FROM (
  SELECT *, arrayJoin(range(pages)) AS page, arrayJoin([0, 1, 2]) AS slot, ${secondsOf('page')} AS seconds,
    slot = 2 AND ${comesLate('page')} AS is_late
  FROM (${SESSIONS})
)
WHERE slot = 0 OR (slot = 1 AND ${hasEvent('page')}) OR (slot = 2 AND ${isMeasured('page')})`

const engagedLast = isMeasured('(pages - 1)')
const events = `arrayCount(p -> ${hasEvent('p')}, range(pages))`
const SESSION_ROWS = `INSERT INTO millrace.sessions_in (site, day, version, sign, start, end, duration_ms, page_views, events, is_bounce, engaged_ms,
  entry_path, exit_path, exit_title, exit_at, exit_signal_at, exit_depth, pages_in_order, kp, ko, ${Object.keys(SHARED).join(', ')})
SELECT {site:String} AS site, day, 1 AS version, 1 AS sign, fromUnixTimestamp64Milli(toInt64(start_ms), 'UTC') AS start,
  fromUnixTimestamp64Milli(toInt64(start_ms + duration_ms), 'UTC') AS end,
  100000 * (pages - 1) + if(${engagedLast}, 2000 * ${secondsOf('(pages - 1)')}, 0) AS duration_ms,
  pages AS page_views, ${events} AS events, pages = 1 AND events = 0 AND (NOT ${engagedLast} OR ${secondsOf('0')} < 10) AS is_bounce,
  0 AS engaged_ms, ${pathOf('0')} AS entry_path, ${pathOf('(pages - 1)')} AS exit_path, concat('Title of ', exit_path) AS exit_title,
  fromUnixTimestamp64Milli(toInt64(start_ms + 100000 * (pages - 1)), 'UTC') AS exit_at,
  if(${engagedLast}, exit_at + toIntervalMillisecond(2000 * least(${secondsOf('(pages - 1)')}, 90)), fromUnixTimestamp64Milli(0, 'UTC')) AS exit_signal_at,
  if(${engagedLast}, 10 + s % 91, 0) AS exit_depth, ${chance(29)} >= ${OUT_OF_ORDER} AS pages_in_order, 0 AS kp, s AS ko, ${sharedColumns.join(',\n  ')}
FROM (${SESSIONS})`

const SETTINGS = {
  max_threads: 2,
  max_insert_threads: 1,
  min_insert_block_size_rows: 1_000_000,
  max_partitions_per_insert_block: 0,
}

/** Fills a site with sessions and their hits; the same seed makes the same rows. */
export async function fillSite(store: Store, options: SiteToFill): Promise<void> {
  const { site, sessions, lastDay, days, seed } = options
  const fixed = { site, seed, days, first_day: lastDay - days + 1, daily_visitors: Math.ceil((sessions / days) * 0.8) }
  for (let from = 0; from < sessions; from += CHUNK) {
    const params = { ...fixed, from, to: Math.min(sessions, from + CHUNK) }
    await store.command(HITS, { params, settings: SETTINGS })
    await store.command(SESSION_ROWS, { params, settings: SETTINGS })
  }
}
