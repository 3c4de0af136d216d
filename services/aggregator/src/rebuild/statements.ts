/** The SQL of a rebuild. Names and numbers are ours; site and zone are quoted. */
import { dateOfDay } from '@millrace/shared'
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

/** Hidden rows lie this many days inside of a plan that deletes them: no zone puts a hit of their sessions outside of it. */
export const DUE_MARGIN_DAYS = 2

/** Whether of hidden rows from `first` to `last` a plan deletes: a session's all together, as it is then made anew. */
const isDue = ({ from, to }: RebuildPlan, first: string, last: string): string =>
  `toUInt32(toDate(${first})) >= ${from + DUE_MARGIN_DAYS} AND toUInt32(toDate(${last})) <= ${to - DUE_MARGIN_DAYS}`

const dueSessions = (plan: RebuildPlan): string =>
  `SELECT session_id FROM millrace.hidden_hits WHERE site = ${literal(plan.site)} AND session_id != 0
   GROUP BY session_id HAVING ${isDue(plan, 'min(time)', 'max(time)')}`

/** WHERE of the hidden rows that a plan deletes. */
export const dueRows = (plan: RebuildPlan): string =>
  `site = ${literal(plan.site)} AND (session_id IN (${dueSessions(plan)})
   OR (session_id = 0 AND ${isDue(plan, 'time', 'time')}))`

/** The rows of the plan in a table, as a table: without the hidden ones that are due, their sessions made anew. */
export function rowsToKeep(
  plan: RebuildPlan,
  { name }: MovedTable,
  columns: readonly string[],
  hides: boolean,
): string {
  if (!hides) return `(SELECT ${list(columns)} FROM millrace.${name} WHERE ${rowsOf(plan)})`
  const sessions = dueSessions(plan)
  const alone = `SELECT kp, ko, ki FROM millrace.hidden_hits WHERE session_id = 0 AND ${dueRows(plan)}`
  const hits = name === 'hits' ? ` AND (session_id != 0 OR (kp, ko, ki) NOT IN (${alone}))` : ''
  return `(SELECT ${list(columns)} FROM millrace.${name} WHERE ${rowsOf(plan)} AND session_id NOT IN (${sessions})${hits}
    UNION ALL SELECT ${list(columns)} FROM millrace.remade_${name} WHERE ${rowsOf(plan)} AND session_id IN (${sessions}))`
}

/** Rows of a plan in a table, by weight. */
export const countSql = (plan: RebuildPlan, table: MovedTable): string =>
  `SELECT sum(${table.weight}) AS n FROM millrace.${table.name} WHERE ${rowsOf(plan)}`

/** Of the rows to keep: how many stay, how many of them on another day. Sessions are counted by sign. */
export const countKeptSql = (plan: RebuildPlan, table: MovedTable, from: string): string => `
  SELECT sumIf(${table.weight}, ${isKept(plan, table)}) AS kept,
    sumIf(${table.weight}, ${newDay(plan, table)} != day AND ${isKept(plan, table)}) AS moved
  FROM ${from}`

/** Some rows of a plan: those of days, and of a day with very many the sessions of one remainder. */
export interface Part {
  readonly from: number
  readonly to: number
  readonly of: number
  readonly rest: number
}

/** Most rows that one statement copies. A server has two minutes for one, in which it copies ten times as many. */
const PART_ROWS = 1_000_000

/** Rows of each day in a source. */
export const daysSql = (plan: RebuildPlan, from: string): string =>
  `SELECT toUInt32(day) AS number, toUInt32(count()) AS n FROM ${from} WHERE ${rowsOf(plan)} GROUP BY day ORDER BY number`

/** Days together, as many as a statement may take, none beyond the end of a month. */
export function partsOf(days: readonly { readonly day: number; readonly n: number }[], most = PART_ROWS): Part[] {
  const parts: (Part & { n: number })[] = []
  for (const { day, n } of days) {
    const last = parts.at(-1)
    if (last && last.of === 1 && last.n + n <= most && monthOf(last.from) === monthOf(day))
      parts[parts.length - 1] = { ...last, to: day, n: last.n + n }
    else {
      const of = Math.ceil(n / most)
      for (let rest = 0; rest < of; rest++) parts.push({ from: day, to: day, of, rest, n })
    }
  }
  return parts.map(({ from, to, of, rest }) => ({ from, to, of, rest }))
}

const monthOf = (day: number): string => dateOfDay(day).slice(0, 7)

/** How a log names it. */
export function namePart({ from, to, of, rest }: Part): string {
  const days = from === to ? dateOfDay(from) : `${dateOfDay(from)} to ${dateOfDay(to)}`
  return of === 1 ? days : `${days} (${rest + 1} of ${of})`
}

const inPart = ({ from, to, of, rest }: Part): string =>
  `day BETWEEN ${date(from)} AND ${date(to)}${of === 1 ? '' : ` AND session_id % ${of} = ${rest}`}`
const list = (columns: readonly string[]): string => columns.map(identifier).join(', ')

/** Copies rows to keep, with their new days, without those that are too old. */
export function stageSql(
  plan: RebuildPlan,
  table: MovedTable,
  columns: readonly string[],
  from: string,
  part: Part,
): string {
  // No alias: it would stand for the column in WHERE too.
  const values = columns.map((name) => (name === 'day' ? newDay(plan, table) : identifier(name))).join(', ')
  return `INSERT INTO millrace.${table.staging} (${list(columns)}) SELECT ${values} FROM ${from}
    WHERE ${inPart(part)} AND ${isKept(plan, table)}`
}

/** Puts staged rows into their table. */
export const unstageSql = (table: MovedTable, columns: readonly string[], part: Part): string =>
  `INSERT INTO millrace.${table.name} (${list(columns)}) SELECT ${list(columns)} FROM millrace.${table.staging}
   WHERE ${inPart(part)}`

export const deleteSql = (plan: RebuildPlan, table: string): string =>
  `ALTER TABLE millrace.${identifier(table)} DELETE WHERE ${rowsOf(plan)}`

/** Deletes from the hidden rows those that the plan has deleted. */
export const unhideSql = (plan: RebuildPlan): string => `ALTER TABLE millrace.hidden_hits DELETE WHERE ${dueRows(plan)}`

/** Some rows of the plan that a rollup is filled from, as a table. */
export const partOf = (plan: RebuildPlan, { name }: MovedTable, part: Part): string =>
  `(SELECT * FROM millrace.${name} WHERE ${rowsOf(plan)} AND ${inPart(part)})`

export const fillSql = (target: string, columns: readonly string[], select: string): string =>
  `INSERT INTO millrace.${identifier(target)} (${list(columns)}) ${select}`

/** The first day on which a session began that may still change: in it, and after it, nothing is rebuilt. */
export const firstOpenSessionSql = (plan: RebuildPlan, sinceMs: number): string => `
  SELECT toUInt32(min(day)) AS first, count() AS n FROM millrace.sessions
  WHERE ${rowsOf(plan)} AND toUnixTimestamp64Milli(end) >= ${Math.floor(sinceMs)}`
