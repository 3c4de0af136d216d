-- Tables that hold what was measured. The writer inserts into hits_in and sessions_in only; the views do the rest.
-- Every statement may be run again: a migration that was interrupted is simply repeated.

CREATE DATABASE IF NOT EXISTS analytics;

-- Columns as HIT_COLUMNS and SESSION_BLOCK_COLUMNS of libs/shared, in their order; a test compares them.
CREATE TABLE IF NOT EXISTS millrace.hits_in (
  site LowCardinality(String),
  day Date,
  time DateTime64(3, 'UTC'),
  received_at DateTime64(3, 'UTC'),
  type Enum8('page_view' = 1, 'event' = 2, 'engagement' = 3),
  verdict Enum8('keep' = 1, 'duplicate' = 2, 'dead' = 3, 'marker' = 4),
  verdict_reason LowCardinality(String),
  late Bool,
  hit_id UUID,
  visitor_id UInt64,
  session_id UInt64,
  hostname LowCardinality(String),
  path String,
  title String,
  route LowCardinality(String),
  referrer String,
  session_referrer String,
  referrer_name LowCardinality(String),
  channel LowCardinality(String),
  utm_source LowCardinality(String),
  utm_medium LowCardinality(String),
  utm_campaign LowCardinality(String),
  utm_content LowCardinality(String),
  utm_term LowCardinality(String),
  click_id_kind LowCardinality(String),
  entry_path String,
  country LowCardinality(String),
  region LowCardinality(String),
  region_name LowCardinality(String),
  city LowCardinality(String),
  browser LowCardinality(String),
  browser_version LowCardinality(String),
  os LowCardinality(String),
  os_version LowCardinality(String),
  device LowCardinality(String),
  device_type LowCardinality(String),
  platform LowCardinality(String),
  client_kind LowCardinality(String),
  language LowCardinality(String),
  language_region LowCardinality(String),
  screen_class LowCardinality(String),
  screen_width UInt16,
  screen_height UInt16,
  pixel_ratio Float32,
  orientation LowCardinality(String),
  is_bot Bool,
  bot_reason LowCardinality(String),
  event_name LowCardinality(String),
  value Decimal(18, 4),
  currency LowCardinality(String),
  event_duration_ms UInt32,
  interactive Bool,
  props_text Map(LowCardinality(String), String),
  props_number Map(LowCardinality(String), Float64),
  tags Map(LowCardinality(String), String),
  page_id UUID,
  engaged_ms UInt32,
  scroll_percent UInt8,
  previous_path String,
  previous_ms UInt32,
  http_method LowCardinality(String),
  http_status UInt16,
  request_ms Float32,
  sender LowCardinality(String),
  schema UInt16,
  build LowCardinality(String),
  kp UInt32,
  ko UInt64,
  ki UInt16
) ENGINE = Null;

CREATE TABLE IF NOT EXISTS millrace.sessions_in (
  site LowCardinality(String),
  day Date,
  session_id UInt64,
  version UInt32,
  sign Int8,
  visitor_id UInt64,
  start DateTime64(3, 'UTC'),
  end DateTime64(3, 'UTC'),
  duration_ms UInt32,
  page_views UInt32,
  events UInt32,
  is_bounce UInt8,
  engaged_ms UInt32,
  hostname LowCardinality(String),
  entry_path String,
  exit_path String,
  exit_title String,
  session_referrer String,
  referrer_name LowCardinality(String),
  channel LowCardinality(String),
  utm_source LowCardinality(String),
  utm_medium LowCardinality(String),
  utm_campaign LowCardinality(String),
  utm_content LowCardinality(String),
  utm_term LowCardinality(String),
  click_id_kind LowCardinality(String),
  country LowCardinality(String),
  region LowCardinality(String),
  region_name LowCardinality(String),
  city LowCardinality(String),
  browser LowCardinality(String),
  browser_version LowCardinality(String),
  os LowCardinality(String),
  os_version LowCardinality(String),
  device LowCardinality(String),
  device_type LowCardinality(String),
  platform LowCardinality(String),
  client_kind LowCardinality(String),
  language LowCardinality(String),
  language_region LowCardinality(String),
  screen_class LowCardinality(String),
  screen_width UInt16,
  screen_height UInt16,
  pixel_ratio Float32,
  orientation LowCardinality(String),
  is_bot Bool,
  bot_reason LowCardinality(String),
  kp UInt32,
  ko UInt64,
  entry_at DateTime64(3, 'UTC'),
  exit_at DateTime64(3, 'UTC'),
  exit_page_id UUID,
  engaging Bool
) ENGINE = Null;

-- Page views, events and engagement signals of a day stand apart, as most reports read one of them, and among each the
-- rows of a session together: measured, 8 % more disk than without the type (and less than by time), and a tenth to a
-- quarter less to read. Paths and titles are plain in hits_in, as they come, and stored by dictionary: filters, patterns
-- and groups then look at each value once. Inserted parts are compact (one file to sync instead of 150); merges above 128 MiB make wide ones.
-- The constraint is on every table that takes rows: the query's log_comment may name a deadline by this store's clock, so
-- that an insert sent before a long pause is refused when it arrives after somebody else has taken over its work.
CREATE TABLE IF NOT EXISTS millrace.hits (
  site LowCardinality(String),
  day Date,
  time DateTime64(3, 'UTC'),
  received_at DateTime64(3, 'UTC'),
  type Enum8('page_view' = 1, 'event' = 2, 'engagement' = 3),
  verdict Enum8('keep' = 1, 'duplicate' = 2, 'dead' = 3, 'marker' = 4),
  verdict_reason LowCardinality(String),
  late Bool,
  hit_id UUID,
  visitor_id UInt64,
  session_id UInt64,
  hostname LowCardinality(String),
  path LowCardinality(String),
  title LowCardinality(String),
  route LowCardinality(String),
  referrer String,
  session_referrer String,
  referrer_name LowCardinality(String),
  channel LowCardinality(String),
  utm_source LowCardinality(String),
  utm_medium LowCardinality(String),
  utm_campaign LowCardinality(String),
  utm_content LowCardinality(String),
  utm_term LowCardinality(String),
  click_id_kind LowCardinality(String),
  entry_path LowCardinality(String),
  country LowCardinality(String),
  region LowCardinality(String),
  region_name LowCardinality(String),
  city LowCardinality(String),
  browser LowCardinality(String),
  browser_version LowCardinality(String),
  os LowCardinality(String),
  os_version LowCardinality(String),
  device LowCardinality(String),
  device_type LowCardinality(String),
  platform LowCardinality(String),
  client_kind LowCardinality(String),
  language LowCardinality(String),
  language_region LowCardinality(String),
  screen_class LowCardinality(String),
  screen_width UInt16,
  screen_height UInt16,
  pixel_ratio Float32,
  orientation LowCardinality(String),
  is_bot Bool,
  bot_reason LowCardinality(String),
  event_name LowCardinality(String),
  value Decimal(18, 4),
  currency LowCardinality(String),
  event_duration_ms UInt32,
  interactive Bool,
  props_text Map(LowCardinality(String), String),
  props_number Map(LowCardinality(String), Float64),
  tags Map(LowCardinality(String), String),
  page_id UUID,
  engaged_ms UInt32,
  scroll_percent UInt8,
  previous_path String,
  previous_ms UInt32,
  http_method LowCardinality(String),
  http_status UInt16,
  request_ms Float32,
  sender LowCardinality(String),
  schema UInt16,
  build LowCardinality(String),
  kp UInt32,
  ko UInt64,
  ki UInt16,
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, type, session_id, time)
SETTINGS min_bytes_for_wide_part = 134217728, fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

-- Signed rows: -1 takes back a state that +1 had added. Read as sum(sign * x), or by analytics.sessions.
CREATE TABLE IF NOT EXISTS millrace.sessions (
  site LowCardinality(String),
  day Date,
  session_id UInt64,
  version UInt32,
  sign Int8,
  visitor_id UInt64,
  start DateTime64(3, 'UTC'),
  end DateTime64(3, 'UTC'),
  duration_ms UInt32,
  page_views UInt32,
  events UInt32,
  is_bounce UInt8,
  engaged_ms UInt32,
  hostname LowCardinality(String),
  entry_path LowCardinality(String),
  exit_path LowCardinality(String),
  exit_title LowCardinality(String),
  session_referrer String,
  referrer_name LowCardinality(String),
  channel LowCardinality(String),
  utm_source LowCardinality(String),
  utm_medium LowCardinality(String),
  utm_campaign LowCardinality(String),
  utm_content LowCardinality(String),
  utm_term LowCardinality(String),
  click_id_kind LowCardinality(String),
  country LowCardinality(String),
  region LowCardinality(String),
  region_name LowCardinality(String),
  city LowCardinality(String),
  browser LowCardinality(String),
  browser_version LowCardinality(String),
  os LowCardinality(String),
  os_version LowCardinality(String),
  device LowCardinality(String),
  device_type LowCardinality(String),
  platform LowCardinality(String),
  client_kind LowCardinality(String),
  language LowCardinality(String),
  language_region LowCardinality(String),
  screen_class LowCardinality(String),
  screen_width UInt16,
  screen_height UInt16,
  pixel_ratio Float32,
  orientation LowCardinality(String),
  is_bot Bool,
  bot_reason LowCardinality(String),
  kp UInt32,
  ko UInt64,
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = VersionedCollapsingMergeTree(sign, version)
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, session_id)
SETTINGS min_bytes_for_wide_part = 134217728, fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

-- wm: largest position (ko) by log partition (kp), from the marker rows (site ''): what this table has of the log.
-- quarters: page views by quarter of an hour, counted since 1970: hours of every time zone are made of them.
CREATE TABLE IF NOT EXISTS millrace.daily_hits (
  site LowCardinality(String),
  day Date,
  is_bot Bool,
  page_views SimpleAggregateFunction(sum, UInt64),
  events SimpleAggregateFunction(sum, UInt64),
  revenue SimpleAggregateFunction(sum, Decimal(38, 4)),
  event_ms SimpleAggregateFunction(sum, UInt64),
  timed_events SimpleAggregateFunction(sum, UInt64),
  quarters SimpleAggregateFunction(sumMap, Map(UInt32, UInt64)),
  visitors AggregateFunction(uniqCombined64(14), UInt64),
  wm SimpleAggregateFunction(maxMap, Map(UInt32, UInt64)),
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, is_bot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS millrace.daily_pages (
  site LowCardinality(String),
  day Date,
  is_bot Bool,
  hostname LowCardinality(String),
  path String,
  page_views SimpleAggregateFunction(sum, UInt64),
  wm SimpleAggregateFunction(maxMap, Map(UInt32, UInt64)),
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, is_bot, hostname, path)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS millrace.daily_sessions (
  site LowCardinality(String),
  day Date,
  is_bot Bool,
  sessions SimpleAggregateFunction(sum, Int64),
  bounces SimpleAggregateFunction(sum, Int64),
  duration_ms SimpleAggregateFunction(sum, Int64),
  page_views SimpleAggregateFunction(sum, Int64),
  wm SimpleAggregateFunction(maxMap, Map(UInt32, UInt64)),
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = AggregatingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day, is_bot)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

-- Rebuilds of closed days: what was decided, and how far it has come. The largest state of an id holds.
CREATE TABLE IF NOT EXISTS millrace.rebuilds (
  id String,
  state Enum8('planned' = 1, 'staged' = 2, 'done' = 3),
  at DateTime64(3, 'UTC') DEFAULT now64(3),
  site LowCardinality(String),
  zone String,
  first_day Date,
  last_day Date,
  keep_from Date,
  hits_kept UInt64,
  hits_moved UInt64,
  hits_deleted UInt64,
  sessions_kept Int64,
  sessions_moved Int64,
  sessions_deleted Int64,
  CONSTRAINT deadline CHECK toUnixTimestamp64Milli(now64(3)) <= toInt64OrDefault(
    extract(getSetting('log_comment'), 'deadline=([0-9]+)'), toInt64(9223372036854775807))
) ENGINE = MergeTree
ORDER BY (site, id, state)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

-- Rows of the one rebuild that runs, between leaving their table and coming back. Columns and constraint are those of the table.
CREATE TABLE IF NOT EXISTS millrace.rebuild_hits AS millrace.hits
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

CREATE TABLE IF NOT EXISTS millrace.rebuild_sessions AS millrace.sessions
ENGINE = MergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (site, day)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1,
  non_replicated_deduplication_window = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS millrace.hits_view TO millrace.hits AS
SELECT
  site, day, time, received_at, type, verdict, verdict_reason, late, hit_id, visitor_id, session_id, hostname, path,
  title, route, referrer, session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content,
  utm_term, click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version,
  device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation,
  is_bot, bot_reason, event_name, value, currency, event_duration_ms, interactive, props_text, props_number, tags,
  page_id, engaged_ms, scroll_percent, previous_path, previous_ms, http_method, http_status, request_ms, sender,
  schema, build, kp, ko, ki
FROM millrace.hits_in
WHERE verdict != 'marker';

CREATE MATERIALIZED VIEW IF NOT EXISTS millrace.daily_hits_view TO millrace.daily_hits AS
SELECT
  site, day, is_bot,
  countIf(verdict = 'keep' AND type = 'page_view') AS page_views,
  countIf(verdict = 'keep' AND type = 'event') AS events,
  sumIf(value, verdict = 'keep' AND type = 'event') AS revenue,
  sumIf(event_duration_ms, verdict = 'keep' AND type = 'event') AS event_ms,
  countIf(verdict = 'keep' AND type = 'event' AND event_duration_ms > 0) AS timed_events,
  sumMapIf(map(intDiv(toUInt32(toUnixTimestamp(time)), 900), toUInt64(1)), verdict = 'keep' AND type = 'page_view') AS quarters,
  uniqCombined64StateIf(14)(visitor_id, verdict = 'keep') AS visitors,
  maxMap(if(verdict = 'marker', map(kp, ko), CAST(map(), 'Map(UInt32, UInt64)'))) AS wm
FROM millrace.hits_in
WHERE verdict = 'marker' OR (verdict = 'keep' AND type IN ('page_view', 'event'))
GROUP BY site, day, is_bot;

CREATE MATERIALIZED VIEW IF NOT EXISTS millrace.daily_pages_view TO millrace.daily_pages AS
SELECT
  site, day, is_bot, hostname, path,
  countIf(verdict = 'keep') AS page_views,
  maxMap(if(verdict = 'marker', map(kp, ko), CAST(map(), 'Map(UInt32, UInt64)'))) AS wm
FROM millrace.hits_in
WHERE verdict = 'marker' OR (verdict = 'keep' AND type = 'page_view')
GROUP BY site, day, is_bot, hostname, path;

CREATE MATERIALIZED VIEW IF NOT EXISTS millrace.sessions_view TO millrace.sessions AS
SELECT
  site, day, session_id, version, sign, visitor_id, start, end, duration_ms, page_views, events, is_bounce,
  engaged_ms, hostname, entry_path, exit_path, exit_title, session_referrer, referrer_name, channel, utm_source,
  utm_medium, utm_campaign, utm_content, utm_term, click_id_kind, country, region, region_name, city, browser,
  browser_version, os, os_version, device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width,
  screen_height, pixel_ratio, orientation, is_bot, bot_reason, kp, ko
FROM millrace.sessions_in;

-- Markers among sessions have site ''.
CREATE MATERIALIZED VIEW IF NOT EXISTS millrace.daily_sessions_view TO millrace.daily_sessions AS
SELECT
  site, day, is_bot,
  sumIf(sign, site != '') AS sessions,
  sumIf(sign * is_bounce, site != '') AS bounces,
  sumIf(sign * duration_ms, site != '') AS duration_ms,
  sumIf(sign * page_views, site != '') AS page_views,
  maxMap(if(site = '', map(kp, ko), CAST(map(), 'Map(UInt32, UInt64)'))) AS wm
FROM millrace.sessions_in
GROUP BY site, day, is_bot;

-- What users read. Only hits that count; what became of the others is in the ledger.
CREATE VIEW IF NOT EXISTS analytics.hits AS
SELECT
  site, day, time, received_at, type, late, hit_id, visitor_id, session_id, hostname, path, title, route, referrer,
  session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
  click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version, device,
  device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation, is_bot,
  bot_reason, event_name, value, currency, event_duration_ms, interactive, props_text, props_number, tags, page_id,
  engaged_ms, scroll_percent, previous_path, previous_ms, http_method, http_status, request_ms, sender
FROM millrace.hits
WHERE verdict = 'keep';

CREATE VIEW IF NOT EXISTS analytics.page_views AS
SELECT
  site, day, time, received_at, type, late, hit_id, visitor_id, session_id, hostname, path, title, route, referrer,
  session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
  click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version, device,
  device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation, is_bot,
  bot_reason, event_name, value, currency, event_duration_ms, interactive, props_text, props_number, tags, page_id,
  engaged_ms, scroll_percent, previous_path, previous_ms, http_method, http_status, request_ms, sender
FROM millrace.hits
WHERE verdict = 'keep' AND type = 'page_view';

CREATE VIEW IF NOT EXISTS analytics.events AS
SELECT
  site, day, time, received_at, type, late, hit_id, visitor_id, session_id, hostname, path, title, route, referrer,
  session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content, utm_term,
  click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version, device,
  device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation, is_bot,
  bot_reason, event_name, value, currency, event_duration_ms, interactive, props_text, props_number, tags, page_id,
  engaged_ms, scroll_percent, previous_path, previous_ms, http_method, http_status, request_ms, sender
FROM millrace.hits
WHERE verdict = 'keep' AND type = 'event';

-- One row per session. Of each version at most one +1 and one -1 exist, so a version with a sum above 0 is the last one.
CREATE VIEW IF NOT EXISTS analytics.sessions AS
SELECT
  site, day, session_id, any(s.visitor_id) AS visitor_id, any(s.start) AS start, any(s.end) AS end,
  any(s.duration_ms) AS duration_ms, any(s.page_views) AS page_views, any(s.events) AS events,
  any(s.is_bounce) AS is_bounce, any(s.engaged_ms) AS engaged_ms, any(s.hostname) AS hostname,
  any(s.entry_path) AS entry_path, any(s.exit_path) AS exit_path, any(s.exit_title) AS exit_title,
  any(s.session_referrer) AS session_referrer, any(s.referrer_name) AS referrer_name, any(s.channel) AS channel,
  any(s.utm_source) AS utm_source, any(s.utm_medium) AS utm_medium, any(s.utm_campaign) AS utm_campaign,
  any(s.utm_content) AS utm_content, any(s.utm_term) AS utm_term, any(s.click_id_kind) AS click_id_kind,
  any(s.country) AS country, any(s.region) AS region, any(s.region_name) AS region_name, any(s.city) AS city,
  any(s.browser) AS browser, any(s.browser_version) AS browser_version, any(s.os) AS os,
  any(s.os_version) AS os_version, any(s.device) AS device, any(s.device_type) AS device_type,
  any(s.platform) AS platform, any(s.client_kind) AS client_kind, any(s.language) AS language,
  any(s.language_region) AS language_region,
  any(s.screen_class) AS screen_class, any(s.screen_width) AS screen_width, any(s.screen_height) AS screen_height,
  any(s.pixel_ratio) AS pixel_ratio, any(s.orientation) AS orientation,
  any(s.is_bot) AS is_bot, any(s.bot_reason) AS bot_reason
FROM millrace.sessions AS s
WHERE site != ''
GROUP BY site, day, session_id, version
HAVING sum(sign) > 0;

-- What became of every raw hit.
CREATE VIEW IF NOT EXISTS analytics.ledger AS
SELECT site, toStartOfHour(received_at) AS hour, verdict, verdict_reason, count() AS hits
FROM millrace.hits
GROUP BY site, hour, verdict, verdict_reason;
