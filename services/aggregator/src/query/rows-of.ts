import { dateOfDay } from '@millrace/shared'
import type { Bucket, BucketUnit } from './buckets.ts'
import { type Dimension, tellsOf } from './dimensions.ts'
import type { Question } from './question.ts'
import type { Binder } from './statement.ts'

/** Tables of single rows. */
export type RawTable = 'hits' | 'sessions'
/** Sessions under their first, or last, page view. */
export type PageRows = 'entries' | 'exits'
/** Page views and events (`hits`), page views alone (`views`), engagement signals, both of these (`seen`), sessions. */
export type Rows = RawTable | 'views' | 'signals' | 'seen' | PageRows
/** Tables of sums by day. */
export type DailyTable = 'daily_hits' | 'daily_sessions' | 'daily_pages'

/** Column that dates a row. Sessions are dated by their start. */
export const TIME_COLUMN: Record<Rows, string> = {
  hits: 'time',
  views: 'time',
  signals: 'time',
  seen: 'time',
  sessions: 'start',
  entries: 'start',
  exits: 'start',
}

const KEPT = "verdict = 'keep'"
const KIND: Partial<Record<Rows | DailyTable, string[]>> = {
  hits: [KEPT, "type != 'engagement'"],
  views: [KEPT, "type = 'page_view'"],
  signals: [KEPT, "type = 'engagement'"],
  seen: [KEPT, "type != 'event'"],
}

/** Site, kind of row, bots and what the site still keeps: what every SELECT begins with. Site scoping has no way around it. */
export function ownRows(
  rows: Rows | DailyTable,
  question: Pick<Question, 'site' | 'includeBots' | 'keptFrom'>,
  { bind }: Binder,
): string[] {
  return [
    `site = ${bind('site', 'String', question.site)}`,
    ...(KIND[rows] ?? []),
    ...(question.includeBots ? [] : ['is_bot = 0']),
    ...keptRows(question, { bind }),
  ]
}

/** Rows of days that the site still keeps. */
export const keptRows = ({ keptFrom }: Pick<Question, 'keptFrom'>, { bind }: Pick<Binder, 'bind'>): string[] =>
  keptFrom === null ? [] : [`day >= ${bind('kept_from', 'Date', dateOfDay(keptFrom))}`]

/**
 * The period. A predicate on a DateTime64 does not prune (the tables are sorted by `day`), so there is one on `day`
 * too, a day wider at each end because `day` is a date of the site's zone and not of the asked one.
 */
export function duringPeriod(
  table: Rows | DailyTable,
  question: Pick<Question, 'range' | 'byDay' | 'before'>,
  binder: Binder,
): string[] {
  const { range, byDay, before } = question
  if (byDay) {
    const days = dayBetween('day', range.days!.first, range.days!.last, binder)
    return [before ? `(${days} OR ${duringBefore(before, binder)})` : days]
  }
  const time = TIME_COLUMN[table as Rows]
  const from = binder.bind('from', "DateTime64(3, 'UTC')", dateTime(range.fromMs))
  const to = binder.bind('to', "DateTime64(3, 'UTC')", dateTime(range.toMs))
  return [...aroundPeriod(1, question, binder), `${time} >= ${from}`, `${time} < ${to}`]
}

/** The days of the period before. */
export const duringBefore = ({ first, last }: NonNullable<Question['before']>, binder: Binder): string =>
  dayBetween('before', first, last, binder)

/** The days of the period and `margin` more at each end. A session lasts at most 24 h: its hits are at most a day away. */
export function aroundPeriod(margin: number, { range }: Pick<Question, 'range'>, binder: Binder): string[] {
  const first = Math.floor(range.fromMs / DAY_MS) - margin
  const last = Math.floor((range.toMs - 1) / DAY_MS) + margin
  return [dayBetween(`around_${margin}`, first, last, binder)]
}
const DAY_MS = 86_400_000

/**
 * Days (of rows) of which every hit belongs to a session that began in the period, and tells of pages seen in it: a session
 * lasts at most 24 hours, and one day more at each end is for a zone that was changed. Null for short periods.
 */
export function daysInside({ range, byDay, keptFrom }: Pick<Question, 'range' | 'byDay' | 'keptFrom'>) {
  const first = Math.max(byDay ? range.days!.first : Math.floor(range.fromMs / DAY_MS) + 1, keptFrom ?? 0) + 3
  const last = byDay ? range.days!.last - 1 : Math.floor(range.toMs / DAY_MS) - 3
  return last - first < 8 ? null : { first, last }
}

/** SQL for rows of the days `first` to `last`. The same name must always be for the same days. */
export function dayBetween(name: string, first: number, last: number, { bind }: Pick<Binder, 'bind'>): string {
  const from = bind(`${name}_from`, 'Date', dateOfDay(Math.max(0, first)))
  return `day BETWEEN ${from} AND ${bind(`${name}_to`, 'Date', dateOfDay(Math.max(0, last)))}`
}

/** `2026-11-14 09:00:00.000`, as ClickHouse reads a DateTime64. */
export const dateTime = (ms: number): string => new Date(ms).toISOString().slice(0, 23).replace('T', ' ')

/**
 * SQL of a dimension's value in the rows of a table that can tell it: a text, a number, or of a bucket its start in
 * epoch seconds (its day number, if the question is by day).
 */
export function dimensionSql(
  dimension: Dimension,
  table: Rows | DailyTable,
  question: Question,
  binder: Binder,
): string {
  switch (dimension.kind) {
    case 'bucket':
      return bucketOf(dimension.unit, table, question, binder)
    case 'cycle':
      return cycleOf(dimension.name, table, question, binder)
    case 'column':
      if (table === 'entries' || table === 'exits') return pageColumn(dimension, table)
      return table === 'sessions' ? dimension.sessions! : dimension.hits!
    case 'map':
      return textOfKey(dimension.map, binder.add('String', dimension.key))
  }
}

/** Columns of a session that tell of its last page view what a hit's column tells of itself. */
const PAGE_COLUMNS: Record<PageRows, Readonly<Record<string, string>>> = {
  entries: { path: 'entry_path' },
  exits: { path: 'exit_path', title: 'exit_title' },
}

const pageColumn = ({ name, hits, sessions }: Dimension & { kind: 'column' }, rows: PageRows): string =>
  PAGE_COLUMNS[rows][name] ?? sessions ?? hits!

/** Whether session rows tell a dimension of their first, or last, page view; else that page view is looked up. */
export const tellsOfPage = (dimension: Dimension, rows: PageRows): boolean =>
  tellsOf(dimension).sessions || dimension.name in PAGE_COLUMNS[rows]

function bucketOf(unit: BucketUnit, table: Rows | DailyTable, question: Question, { bind }: Binder): string {
  const { byDay, buckets } = question
  if (byDay && unit === 'day') return 'toUInt32(day)'
  const value = byDay && !isClock(unit) ? 'toUInt32(day)' : `toUnixTimestamp(${TIME_COLUMN[table as Rows]})`
  // The starts come from the same calendar that fills empty buckets, so the two cannot differ.
  return `roundDown(${value}, ${bind(
    'starts',
    'Array(UInt32)',
    buckets.map((bucket) => bucketKey(bucket, unit, byDay)),
  )})`
}

/** What a bucket is called in rows of the store: its day number where the column `day` tells it, else its start. */
export const bucketKey = (bucket: Bucket, unit: BucketUnit, byDay: boolean): number =>
  byDay && !isClock(unit) ? Math.max(0, bucket.day) : bucket.start

const isClock = (unit: BucketUnit): boolean => unit === 'minute' || unit === 'hour'

function cycleOf(
  name: 'weekday' | 'hour_of_day',
  table: Rows | DailyTable,
  question: Question,
  { bind }: Binder,
): string {
  if (name === 'weekday' && question.byDay) return 'toDayOfWeek(day)'
  const local = `toTimeZone(${TIME_COLUMN[table as Rows]}, ${bind('zone', 'String', question.zone.zone)})`
  return name === 'weekday' ? `toDayOfWeek(${local})` : `toHour(${local})`
}

/** The value of a key as text: numbers as their digits, '' for rows without it. */
function textOfKey(map: 'props' | 'tags', key: string): string {
  if (map === 'tags') return `tags[${key}]`
  return `if(mapContains(props_number, ${key}), toString(props_number[${key}]), props_text[${key}])`
}

/** Rows that have a dimension at all; null if all do. */
export function hasValue(dimension: Dimension, rows: Rows | DailyTable, { add }: Binder): string | null {
  if (dimension.kind === 'column' && dimension.only) return rows === 'hits' ? `type = '${dimension.only}'` : '0'
  if (dimension.kind !== 'map') return null
  const key = add('String', dimension.key)
  if (dimension.map === 'tags') return `mapContains(tags, ${key})`
  return `(mapContains(props_number, ${key}) OR mapContains(props_text, ${key}))`
}
