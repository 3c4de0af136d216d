/** The SQL of a rebuild. Names and numbers are ours; site and zone are quoted. */
import { identifier, literal } from '@millrace/store'
import type { RebuildPlan } from './plan.ts'

/** A table whose rows are moved, where they wait meanwhile, and the column that says to which day they belong. */
export interface MovedTable {
  readonly name: 'hits' | 'sessions'
  readonly staging: string
  readonly time: 'time' | 'start'
  /** Weight of a row: sessions are signed. */
  readonly weight: string
}

export const HITS_TABLE: MovedTable = { name: 'hits', staging: 'rebuild_hits', time: 'time', weight: '1' }
export const SESSIONS_TABLE: MovedTable = {
  name: 'sessions',
  staging: 'rebuild_sessions',
  time: 'start',
  weight: 'sign',
}
export const MOVED_TABLES = [HITS_TABLE, SESSIONS_TABLE] as const

const date = (day: number): string => `toDate(${day})`

/** The rows of the plan in any table with site and day. Markers have the site '' and are never among them. */
export const rowsOf = ({ site, from, to }: RebuildPlan): string =>
  `site = ${literal(site)} AND day BETWEEN ${date(from)} AND ${date(to)}`

/** Day in the new zone; rows that would leave the days of the plan keep theirs. The signs of a session share its start. */
function newDay({ zone, from, to }: RebuildPlan, { time }: MovedTable): string {
  const local = `toDate(${time}, ${literal(zone)})`
  return `if(${local} BETWEEN ${date(from)} AND ${date(to)}, ${local}, day)`
}

const isKept = (plan: RebuildPlan, table: MovedTable): string => `${newDay(plan, table)} >= ${date(plan.keepFrom)}`

/** Rows of the plan: how many stay, how many of them on another day, how many are too old. Sessions are counted by sign. */
export const countSql = (plan: RebuildPlan, table: MovedTable): string => `
  SELECT sumIf(${table.weight}, ${isKept(plan, table)}) AS kept,
    sumIf(${table.weight}, ${newDay(plan, table)} != day AND ${isKept(plan, table)}) AS moved,
    sumIf(${table.weight}, NOT (${isKept(plan, table)})) AS deleted
  FROM millrace.${table.name} WHERE ${rowsOf(plan)}`

/** Months of `day` that rows of the plan have in a table. */
export const monthsSql = (plan: RebuildPlan, table: string): string =>
  `SELECT DISTINCT toYYYYMM(day) AS month FROM millrace.${identifier(table)} WHERE ${rowsOf(plan)} ORDER BY month`

const inMonth = (month: number): string => `toYYYYMM(day) = ${month}`
const list = (columns: readonly string[]): string => columns.map(identifier).join(', ')

/** Copies the rows of one month, with their new days, without those that are too old. */
export function stageSql(plan: RebuildPlan, table: MovedTable, columns: readonly string[], month: number): string {
  // No alias: it would stand for the column in WHERE too.
  const values = columns.map((name) => (name === 'day' ? newDay(plan, table) : identifier(name))).join(', ')
  return `INSERT INTO millrace.${table.staging} (${list(columns)}) SELECT ${values} FROM millrace.${table.name}
    WHERE ${rowsOf(plan)} AND ${inMonth(month)} AND ${isKept(plan, table)}`
}

/** Puts the staged rows of one month into their table. */
export const unstageSql = (table: MovedTable, columns: readonly string[], month: number): string =>
  `INSERT INTO millrace.${table.name} (${list(columns)}) SELECT ${list(columns)} FROM millrace.${table.staging}
   WHERE ${inMonth(month)}`

export const deleteSql = (plan: RebuildPlan, table: string): string =>
  `ALTER TABLE millrace.${identifier(table)} DELETE WHERE ${rowsOf(plan)}`

/** The rows of one month that a rollup is filled from, as a table. */
export const monthOf = (plan: RebuildPlan, { name }: MovedTable, month: number): string =>
  `(SELECT * FROM millrace.${name} WHERE ${rowsOf(plan)} AND ${inMonth(month)})`

export const fillSql = (target: string, columns: readonly string[], select: string): string =>
  `INSERT INTO millrace.${identifier(target)} (${list(columns)}) ${select}`

/** The first day on which a session began that may still change: in it, and after it, nothing is rebuilt. */
export const firstOpenSessionSql = (plan: RebuildPlan, sinceMs: number): string => `
  SELECT toUInt32(min(day)) AS first, count() AS n FROM millrace.sessions
  WHERE ${rowsOf(plan)} AND toUnixTimestamp64Milli(end) >= ${Math.floor(sinceMs)}`
