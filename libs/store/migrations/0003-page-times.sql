-- How long and how far pages were seen, as sums: a page view says so of the page that it left, and a session of its exit page.
-- Sessions of older versions have pages_in_order = 0: theirs is computed from their hits, as that of sessions whose hits came
-- in another order (docs/decisions/0009).

ALTER TABLE millrace.hits ADD COLUMN IF NOT EXISTS previous_depth UInt8 AFTER previous_ms;

ALTER TABLE millrace.rebuild_hits ADD COLUMN IF NOT EXISTS previous_depth UInt8 AFTER previous_ms;

ALTER TABLE millrace.sessions
  ADD COLUMN IF NOT EXISTS exit_at DateTime64(3, 'UTC') AFTER ko,
  ADD COLUMN IF NOT EXISTS exit_signal_at DateTime64(3, 'UTC') AFTER exit_at,
  ADD COLUMN IF NOT EXISTS exit_depth UInt8 AFTER exit_signal_at,
  ADD COLUMN IF NOT EXISTS pages_in_order Bool AFTER exit_depth;

ALTER TABLE millrace.rebuild_sessions
  ADD COLUMN IF NOT EXISTS exit_at DateTime64(3, 'UTC') AFTER ko,
  ADD COLUMN IF NOT EXISTS exit_signal_at DateTime64(3, 'UTC') AFTER exit_at,
  ADD COLUMN IF NOT EXISTS exit_depth UInt8 AFTER exit_signal_at,
  ADD COLUMN IF NOT EXISTS pages_in_order Bool AFTER exit_depth;

-- Grouped by now: a dictionary, as path has one. Parts are rewritten in the background, and read as either meanwhile.
ALTER TABLE millrace.hits MODIFY COLUMN previous_path LowCardinality(String) SETTINGS alter_sync = 0;

ALTER TABLE millrace.rebuild_hits MODIFY COLUMN previous_path LowCardinality(String) SETTINGS alter_sync = 0;

ALTER TABLE millrace.hits_in ADD COLUMN IF NOT EXISTS previous_depth UInt8 AFTER previous_ms;

ALTER TABLE millrace.sessions_in
  MODIFY COLUMN exit_at DateTime64(3, 'UTC') AFTER ko,
  ADD COLUMN IF NOT EXISTS exit_signal_at DateTime64(3, 'UTC') AFTER exit_at,
  ADD COLUMN IF NOT EXISTS exit_depth UInt8 AFTER exit_signal_at,
  ADD COLUMN IF NOT EXISTS pages_in_order Bool AFTER exit_depth;

-- Changed as they are, never dropped: an older aggregator may be inserting.
ALTER TABLE millrace.hits_view MODIFY QUERY
SELECT
  site, day, time, received_at, type, verdict, verdict_reason, late, hit_id, visitor_id, session_id, hostname, path,
  title, route, referrer, session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content,
  utm_term, click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version,
  device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation,
  is_bot, bot_reason, event_name, value, currency, event_duration_ms, interactive, props_text, props_number, tags,
  page_id, engaged_ms, scroll_percent, previous_path, previous_ms, previous_depth, http_method, http_status, request_ms, sender,
  schema, build, kp, ko, ki
FROM millrace.hits_in
WHERE verdict != 'marker';

ALTER TABLE millrace.sessions_view MODIFY QUERY
SELECT
  site, day, session_id, version, sign, visitor_id, start, end, duration_ms, page_views, events, is_bounce,
  engaged_ms, hostname, entry_path, exit_path, exit_title, session_referrer, referrer_name, channel, utm_source,
  utm_medium, utm_campaign, utm_content, utm_term, click_id_kind, country, region, region_name, city, browser,
  browser_version, os, os_version, device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width,
  screen_height, pixel_ratio, orientation, is_bot, bot_reason, kp, ko,
  exit_at, exit_signal_at, exit_depth, pages_in_order
FROM millrace.sessions_in;

-- A session that lost hits is no sum any more.
CREATE OR REPLACE VIEW millrace.remade_sessions AS
SELECT
  toLowCardinality(made.site) AS site, made.day AS day, made.session_id AS session_id, toUInt32(1) AS version,
  toInt8(1) AS sign, made.visitor_id AS visitor_id, made.start AS start, made.end AS end,
  toUInt32(least(toUnixTimestamp64Milli(made.end) - toUnixTimestamp64Milli(made.start), 86400000)) AS duration_ms,
  made.page_views AS page_views, made.events AS events,
  toUInt8(made.page_views > 0 AND made.engaging = 0 AND ifNull(engagement.engaged_ms, 0) < 10000) AS is_bounce,
  toUInt32(least(ifNull(engagement.engaged_ms, 0), 4294967295)) AS engaged_ms,
  toLowCardinality(if(made.page_views > 0, made.entry_hostname, made.hostname)) AS hostname,
  made.entry_path AS entry_path, made.exit_path AS exit_path, made.exit_title AS exit_title,
  made.session_referrer AS session_referrer, toLowCardinality(made.referrer_name) AS referrer_name,
  toLowCardinality(made.channel) AS channel, toLowCardinality(made.utm_source) AS utm_source,
  toLowCardinality(made.utm_medium) AS utm_medium, toLowCardinality(made.utm_campaign) AS utm_campaign,
  toLowCardinality(made.utm_content) AS utm_content, toLowCardinality(made.utm_term) AS utm_term,
  toLowCardinality(made.click_id_kind) AS click_id_kind, toLowCardinality(made.country) AS country,
  toLowCardinality(made.region) AS region, toLowCardinality(made.region_name) AS region_name,
  toLowCardinality(made.city) AS city, toLowCardinality(made.browser) AS browser,
  toLowCardinality(made.browser_version) AS browser_version, toLowCardinality(made.os) AS os,
  toLowCardinality(made.os_version) AS os_version, toLowCardinality(made.device) AS device,
  toLowCardinality(made.device_type) AS device_type, toLowCardinality(made.platform) AS platform,
  toLowCardinality(made.client_kind) AS client_kind, toLowCardinality(made.language) AS language,
  toLowCardinality(made.language_region) AS language_region, toLowCardinality(made.screen_class) AS screen_class,
  made.screen_width AS screen_width, made.screen_height AS screen_height, made.pixel_ratio AS pixel_ratio,
  toLowCardinality(made.orientation) AS orientation, made.is_bot AS is_bot,
  toLowCardinality(made.bot_reason) AS bot_reason,
  made.kp AS kp, made.ko AS ko, made.exit_at AS exit_at, toDateTime64(0, 3, 'UTC') AS exit_signal_at,
  toUInt8(0) AS exit_depth, false AS pages_in_order
FROM (
  SELECT
    hit.session_id AS session_id,
    argMinIf(tuple(
      hit.site, hit.day, hit.visitor_id, hit.hostname, hit.session_referrer, hit.referrer_name, hit.channel,
      hit.utm_source, hit.utm_medium, hit.utm_campaign, hit.utm_content, hit.utm_term, hit.click_id_kind, hit.country,
      hit.region, hit.region_name, hit.city, hit.browser, hit.browser_version, hit.os, hit.os_version, hit.device,
      hit.device_type, hit.platform, hit.client_kind, hit.language, hit.language_region, hit.screen_class,
      hit.screen_width, hit.screen_height, hit.pixel_ratio, hit.orientation, hit.is_bot, hit.bot_reason
    ), (hit.time, hit.ko, hit.ki), hit.type != 'engagement') AS first_hit,
    first_hit.1 AS site, first_hit.2 AS day, first_hit.3 AS visitor_id, first_hit.4 AS hostname,
    first_hit.5 AS session_referrer, first_hit.6 AS referrer_name, first_hit.7 AS channel, first_hit.8 AS utm_source,
    first_hit.9 AS utm_medium, first_hit.10 AS utm_campaign, first_hit.11 AS utm_content, first_hit.12 AS utm_term,
    first_hit.13 AS click_id_kind, first_hit.14 AS country, first_hit.15 AS region, first_hit.16 AS region_name,
    first_hit.17 AS city, first_hit.18 AS browser, first_hit.19 AS browser_version, first_hit.20 AS os,
    first_hit.21 AS os_version, first_hit.22 AS device, first_hit.23 AS device_type, first_hit.24 AS platform,
    first_hit.25 AS client_kind, first_hit.26 AS language, first_hit.27 AS language_region,
    first_hit.28 AS screen_class, first_hit.29 AS screen_width, first_hit.30 AS screen_height,
    first_hit.31 AS pixel_ratio, first_hit.32 AS orientation, first_hit.33 AS is_bot, first_hit.34 AS bot_reason,
    minIf(hit.time, hit.type != 'engagement') AS start, max(hit.time) AS end,
    toUInt32(countIf(hit.type = 'page_view')) AS page_views, toUInt32(countIf(hit.type = 'event')) AS events,
    argMinIf(hit.hostname, (hit.time, hit.ko, hit.ki), hit.type = 'page_view') AS entry_hostname,
    argMinIf(hit.path, (hit.time, hit.ko, hit.ki), hit.type = 'page_view') AS entry_path,
    argMaxIf(hit.path, (hit.time, hit.ko, hit.ki), hit.type = 'page_view') AS exit_path,
    argMaxIf(hit.title, (hit.time, hit.ko, hit.ki), hit.type = 'page_view') AS exit_title,
    uniqExactIf((hit.hostname, hit.path), hit.type = 'page_view') > 1
      OR countIf(hit.type = 'event' AND hit.interactive) > 0 AS engaging,
    any(hit.kp) AS kp, max(hit.ko) AS ko, maxIf(hit.time, hit.type = 'page_view') AS exit_at
  FROM millrace.left_hits AS hit
  WHERE hit.verdict = 'keep'
  GROUP BY hit.session_id
  HAVING countIf(hit.type != 'engagement') > 0
) AS made
LEFT JOIN millrace.left_engagement AS engagement ON engagement.session_id = made.session_id;

CREATE OR REPLACE VIEW millrace.remade_hits AS
SELECT
  hit.site AS site, hit.day AS day, hit.time AS time, hit.received_at AS received_at, hit.type AS type,
  hit.verdict AS verdict, hit.verdict_reason AS verdict_reason, hit.late AS late, hit.hit_id AS hit_id,
  hit.visitor_id AS visitor_id, hit.session_id AS session_id, hit.hostname AS hostname, hit.path AS path,
  hit.title AS title, hit.route AS route,
  if((hit.session_id, substring(hit.referrer, position(hit.referrer, '//'))) IN (
    SELECT session_id, concat('//', hostname, path)
    FROM millrace.hits
    WHERE site IN (SELECT site FROM millrace.hidden_hits) AND day IN (SELECT toDate(time) + arrayJoin([-3, -2, -1, 0, 1, 2, 3]) FROM millrace.hidden_hits) AND type = 'page_view'
      AND (kp, ko, ki) IN (SELECT kp, ko, ki FROM millrace.hidden_hits)), '', hit.referrer) AS referrer,
  hit.session_referrer AS session_referrer, hit.referrer_name AS referrer_name, hit.channel AS channel,
  hit.utm_source AS utm_source, hit.utm_medium AS utm_medium, hit.utm_campaign AS utm_campaign,
  hit.utm_content AS utm_content, hit.utm_term AS utm_term, hit.click_id_kind AS click_id_kind,
  hit.first_page AS entry_path, hit.country AS country, hit.region AS region, hit.region_name AS region_name,
  hit.city AS city, hit.browser AS browser, hit.browser_version AS browser_version, hit.os AS os,
  hit.os_version AS os_version, hit.device AS device, hit.device_type AS device_type, hit.platform AS platform,
  hit.client_kind AS client_kind, hit.language AS language, hit.language_region AS language_region,
  hit.screen_class AS screen_class, hit.screen_width AS screen_width, hit.screen_height AS screen_height,
  hit.pixel_ratio AS pixel_ratio, hit.orientation AS orientation, hit.is_bot AS is_bot, hit.bot_reason AS bot_reason,
  hit.event_name AS event_name, hit.value AS value, hit.currency AS currency,
  hit.event_duration_ms AS event_duration_ms, hit.interactive AS interactive, hit.props_text AS props_text,
  hit.props_number AS props_number, hit.tags AS tags, hit.page_id AS page_id, hit.engaged_ms AS engaged_ms,
  hit.scroll_percent AS scroll_percent,
  if(hit.type = 'page_view', hit.page_before, hit.previous_path) AS previous_path,
  if(hit.type = 'page_view', hit.ms_before, hit.previous_ms) AS previous_ms, toUInt8(0) AS previous_depth,
  hit.http_method AS http_method,
  hit.http_status AS http_status, hit.request_ms AS request_ms, hit.sender AS sender, hit.schema AS schema,
  hit.build AS build, hit.kp AS kp, hit.ko AS ko, hit.ki AS ki
FROM (
  SELECT
    *,
    argMinIf(path, (time, ko, ki), type = 'page_view') OVER (PARTITION BY session_id) AS first_page,
    countIf(type != 'engagement') OVER (PARTITION BY session_id) AS seen,
    lagInFrame(path, 1, '') OVER by_time AS page_before,
    toUInt32(toUnixTimestamp64Milli(time)
      - lagInFrame(toUnixTimestamp64Milli(time), 1, toUnixTimestamp64Milli(time)) OVER by_time) AS ms_before
  FROM millrace.left_hits
  WINDOW by_time AS (
    PARTITION BY session_id, type = 'page_view' ORDER BY time, ko, ki ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
) AS hit
WHERE hit.seen > 0;

CREATE OR REPLACE VIEW millrace.shown_hits AS
SELECT
  site, day, time, received_at, type, verdict, verdict_reason, late, hit_id, visitor_id, session_id, hostname, path,
  title, route, referrer, session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content,
  utm_term, click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version,
  device, device_type, platform, client_kind, language, language_region, screen_class, screen_width, screen_height,
  pixel_ratio, orientation, is_bot, bot_reason, event_name, value, currency, event_duration_ms, interactive,
  props_text, props_number, tags, page_id, engaged_ms, scroll_percent, previous_path, previous_ms,
  previous_depth, http_method, http_status, request_ms, sender, schema, build, kp, ko, ki
FROM millrace.hits
WHERE session_id NOT IN (SELECT session_id FROM millrace.hidden_hits WHERE session_id != 0)
  AND (session_id != 0 OR (kp, ko, ki) NOT IN (SELECT kp, ko, ki FROM millrace.hidden_hits WHERE session_id = 0))
UNION ALL
SELECT
  site, day, time, received_at, type, verdict, verdict_reason, late, hit_id, visitor_id, session_id, hostname, path,
  title, route, referrer, session_referrer, referrer_name, channel, utm_source, utm_medium, utm_campaign, utm_content,
  utm_term, click_id_kind, entry_path, country, region, region_name, city, browser, browser_version, os, os_version,
  device, device_type, platform, client_kind, language, language_region, screen_class, screen_width, screen_height,
  pixel_ratio, orientation, is_bot, bot_reason, event_name, value, currency, event_duration_ms, interactive,
  props_text, props_number, tags, page_id, engaged_ms, scroll_percent, previous_path, previous_ms,
  previous_depth, http_method, http_status, request_ms, sender, schema, build, kp, ko, ki
FROM millrace.remade_hits;

CREATE OR REPLACE VIEW millrace.shown_sessions AS
SELECT
  site, day, session_id, version, sign, visitor_id, start, end, duration_ms, page_views, events, is_bounce,
  engaged_ms, hostname, entry_path, exit_path, exit_title, session_referrer, referrer_name, channel, utm_source,
  utm_medium, utm_campaign, utm_content, utm_term, click_id_kind, country, region, region_name, city, browser,
  browser_version, os, os_version, device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation, is_bot, bot_reason, kp, ko,
  exit_at, exit_signal_at, exit_depth, pages_in_order
FROM millrace.sessions
WHERE session_id NOT IN (SELECT session_id FROM millrace.hidden_hits WHERE session_id != 0)
UNION ALL
SELECT
  site, day, session_id, version, sign, visitor_id, start, end, duration_ms, page_views, events, is_bounce,
  engaged_ms, hostname, entry_path, exit_path, exit_title, session_referrer, referrer_name, channel, utm_source,
  utm_medium, utm_campaign, utm_content, utm_term, click_id_kind, country, region, region_name, city, browser,
  browser_version, os, os_version, device, device_type, platform, client_kind, language, language_region,
  screen_class, screen_width, screen_height, pixel_ratio, orientation, is_bot, bot_reason, kp, ko,
  exit_at, exit_signal_at, exit_depth, pages_in_order
FROM millrace.remade_sessions;
