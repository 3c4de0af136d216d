/** Every rollup against a recount of the rows that it is made of. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Store, Target } from '@millrace/store'
import type { CheckName, Findings } from './findings.ts'
import type { Rebuilt } from './rebuilt.ts'

/** What is compared of a rollup: two SELECTs with the same columns, the keys first. */
interface Rollup {
  readonly check: CheckName
  readonly name: string
  readonly keys: readonly string[]
  readonly values: readonly string[]
  readonly stored: (where: string) => string
  readonly recount: (where: string) => string
}

const KEYS = ['site', 'day', 'is_bot']

/** The rollups whose meaning is written here a second time; others are recounted by the SELECT of their own view. */
const KNOWN: readonly Rollup[] = [
  {
    check: 'I3 daily_hits equals a recount of hits',
    name: 'daily_hits',
    keys: KEYS,
    values: ['page_views', 'events', 'visitors'],
    stored: (
      where,
    ) => `SELECT site, day, is_bot, toInt64(sum(page_views)) AS page_views, toInt64(sum(events)) AS events,
      toInt64(uniqCombined64Merge(14)(visitors)) AS visitors FROM millrace.daily_hits WHERE ${where} GROUP BY site, day, is_bot`,
    recount: (where) => `SELECT site, day, is_bot, toInt64(countIf(type = 'page_view')) AS page_views,
      toInt64(countIf(type = 'event')) AS events, toInt64(uniqCombined64(14)(visitor_id)) AS visitors
      FROM millrace.hits WHERE ${where} AND verdict = 'keep' AND type != 'engagement' GROUP BY site, day, is_bot`,
  },
  {
    check: 'I3 daily_pages equals a recount of hits',
    name: 'daily_pages',
    keys: [...KEYS, 'hostname', 'path'],
    values: ['page_views'],
    stored: (where) => `SELECT site, day, is_bot, hostname, path, toInt64(sum(page_views)) AS page_views
      FROM millrace.daily_pages WHERE ${where} GROUP BY site, day, is_bot, hostname, path`,
    recount: (where) => `SELECT site, day, is_bot, hostname, path, toInt64(count()) AS page_views FROM millrace.hits
      WHERE ${where} AND verdict = 'keep' AND type = 'page_view' GROUP BY site, day, is_bot, hostname, path`,
  },
  {
    check: 'I3 daily_sessions equals a recount of sessions',
    name: 'daily_sessions',
    keys: KEYS,
    values: ['sessions', 'bounces', 'duration_ms', 'page_views'],
    stored: (where) => `SELECT site, day, is_bot, sum(sessions) AS sessions, sum(bounces) AS bounces,
      sum(duration_ms) AS duration_ms, sum(page_views) AS page_views FROM millrace.daily_sessions WHERE ${where}
      GROUP BY site, day, is_bot`,
    recount: (
      where,
    ) => `SELECT site, day, is_bot, toInt64(sum(sign)) AS sessions, toInt64(sum(sign * is_bounce)) AS bounces,
      toInt64(sum(sign * toInt64(s.duration_ms))) AS duration_ms, toInt64(sum(sign * toInt64(s.page_views))) AS page_views
      FROM millrace.sessions AS s WHERE ${where} GROUP BY site, day, is_bot`,
  },
]

/** While hits come in, a flush shows table by table: what differs is looked at so often again. */
const LOOKS = 12
const BETWEEN_LOOKS_MS = 250
/** Differing groups that are looked at; of more than that, days are wrong as a whole. */
const MAX_GROUPS = 200

export interface RollupParts {
  readonly store: Pick<Store, 'query' | 'targets'>
  readonly findings: Findings
  /** Hits come in: what differs may be a flush that is under way. */
  readonly isLive: boolean
  readonly rebuilt: Pick<Rebuilt, 'atRest'>
  /** A flush was planned and not finished when the comparison began, and still is. */
  readonly flushInDoubt: () => Promise<boolean>
}

interface Difference {
  readonly key: string
  readonly site: string
  readonly day: string
  readonly text: string
}

/** Compares every rollup, days and sites at once. */
export async function compareRollups(parts: RollupParts): Promise<void> {
  for (const rollup of await rollupsOf(parts.store)) await compareRollup(parts, rollup)
}

async function rollupsOf(store: RollupParts['store']): Promise<Rollup[]> {
  const targets = (await store.targets()).filter(({ name }) => name !== 'hits' && name !== 'sessions')
  const rollups: Rollup[] = []
  for (const target of targets)
    rollups.push(KNOWN.find(({ name }) => name === target.name) ?? (await rollupByView(store, target)))
  return rollups
}

async function compareRollup(parts: RollupParts, rollup: Rollup): Promise<void> {
  const { store, findings } = parts
  const all = `site != '' AND ${parts.rebuilt.atRest}`
  const [size] = await store.query<{ n: string }>(`SELECT count() AS n FROM (${rollup.recount(all)})`)
  findings.compared(rollup.check, Number(size!.n))
  let differing = await differencesOf(store, rollup, all)
  for (let look = 1; parts.isLive && differing.length > 0 && look < LOOKS; look++) {
    await sleep(BETWEEN_LOOKS_MS)
    const still = new Set(differing.map(({ key }) => key))
    const days = [...new Set(differing.map(({ day }) => `'${day}'`))]
    const again = await differencesOf(store, rollup, `${all} AND day IN (${days.join(', ')})`)
    differing = again.filter(({ key }) => still.has(key))
  }
  if (differing.length > 0 && (await parts.flushInDoubt())) {
    const days = [...new Set(differing.map(({ site, day }) => `${site} ${day}`))]
    findings.notCompared(
      `${rollup.name} of ${days.slice(0, 5).join(', ')}: an insert of these days was begun and is not finished (a running Millrace finishes it)`,
    )
    return
  }
  for (const { text } of differing) findings.wrong(rollup.check, text)
}

/** Groups whose numbers are not the same; both sides are read by one statement, as near to each other as it gets. */
async function differencesOf(store: RollupParts['store'], rollup: Rollup, where: string): Promise<Difference[]> {
  const { name, keys, values } = rollup
  const sides = values.map(
    (value) => `sumIf(${value}, side = 'stored') AS have_${value}, sumIf(${value}, side = 'expected') AS want_${value}`,
  )
  const columns = [...keys, ...values].join(', ')
  const sql = `SELECT ${keys.map((key) => `toString(${key}) AS ${key}_text`).join(', ')}, ${sides.join(', ')} FROM (
      SELECT 'stored' AS side, ${columns} FROM (${rollup.stored(where)})
      UNION ALL SELECT 'expected' AS side, ${columns} FROM (${rollup.recount(where)})
    ) GROUP BY ${keys.join(', ')} HAVING ${values.map((value) => `have_${value} != want_${value}`).join(' OR ')}
    ORDER BY ${keys.join(', ')} LIMIT ${MAX_GROUPS}`
  const rows = await store.query<Record<string, string>>(sql)
  return rows.map((row) => {
    const key = keys.map((column) => `${column} ${row[`${column}_text`]}`).join(', ')
    const numbers = values
      .filter((value) => row[`have_${value}`] !== row[`want_${value}`])
      .map((value) => `${value} expected ${row[`want_${value}`]}, stored ${row[`have_${value}`]}`)
    return { key, site: row.site_text ?? '', day: row.day_text ?? '', text: `${name}: ${key}: ${numbers.join('; ')}` }
  })
}

/** A rollup that is not known by name: its own view over the stored rows gives what it should hold. */
async function rollupByView(store: RollupParts['store'], { name, select, source }: Target): Promise<Rollup> {
  const columns = await store.query<{ name: string; type: string; sorted: number }>(
    `SELECT name, type, is_in_sorting_key AS sorted FROM system.columns
     WHERE database = 'millrace' AND table = {name:String} AND name != 'wm' ORDER BY position`,
    { params: { name } },
  )
  const keys = columns.filter(({ sorted }) => Number(sorted) === 1).map((column) => column.name)
  const sums = columns.filter(({ sorted }) => Number(sorted) !== 1)
  const merged = sums.map((column) => `cityHash64(toString(${mergeOf(column)})) AS ${column.name}`)
  const fromRows = select.replace(
    /\bFROM millrace\.(hits_in|sessions_in)\b/,
    `FROM millrace.${source === 'hits_in' ? 'hits' : 'sessions'}`,
  )
  const aggregate = (from: string, where: string): string =>
    `SELECT ${[...keys, ...merged].join(', ')} FROM (SELECT * FROM ${from} WHERE ${where}) AS rows_of GROUP BY ${keys.join(', ')}`
  return {
    check: 'I3 other rollups equal their views over hits and sessions',
    ...{ name, keys, values: sums.map((column) => column.name) },
    stored: (where) => aggregate(`millrace.${name}`, where),
    recount: (where) => aggregate(`(${fromRows})`, where),
  }
}

/** The final value of an aggregate column, whose type names its function. */
function mergeOf({ name, type }: { name: string; type: string }): string {
  const state = /^(Simple)?AggregateFunction\(([A-Za-z0-9_]+)(\([^)]*\))?,/.exec(type)
  if (!state) return `any(rows_of.${name})`
  const [, isSimple, aggregate, parameters = ''] = state
  return isSimple ? `${aggregate}${parameters}(rows_of.${name})` : `${aggregate}Merge${parameters}(rows_of.${name})`
}
