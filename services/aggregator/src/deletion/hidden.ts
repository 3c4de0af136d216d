/** What waits for its deletion, and a store that does not show it. */
import { identifier, type Store, selectFrom, type Target } from '@millrace/store'

/** How long another process may not know that something was hidden, or is shown again. */
const KNOWN_FOR_MS = 1_000

interface Known {
  readonly atMs: number
  readonly days: Promise<ReadonlyMap<string, readonly number[]>>
  targets?: Promise<readonly Target[]>
}
const known = new WeakMap<object, Known>()

type Reading = Pick<Store, 'query' | 'targets'>

/** Asked anew from here on: this process has changed what is hidden. */
export const forgetHidden = (store: object): void => void known.delete(store)

/** What is hidden as of a second ago or less: UTC days (since 1970-01-01) by site. */
function whatIsHidden(store: Reading): Known {
  const last = known.get(store)
  if (last && performance.now() - last.atMs < KNOWN_FOR_MS) return last
  const days = store
    .query<{ site: string; days: number[] }>(
      'SELECT site, groupUniqArray(toUInt32(toDate(time))) AS days FROM millrace.hidden_hits GROUP BY site',
    )
    .then((rows) => new Map(rows.map((row) => [row.site, row.days])))
  const now: Known = { atMs: performance.now(), days, ...(last?.targets && { targets: last.targets }) }
  known.set(store, now)
  days.catch(() => forgetHidden(store))
  return now
}

/**
 * A store whose queries about one site (`{site:String}`) read what is shown: of tables that hold hidden rows, or sums of
 * them, the statement reads the views without them. So no report has to know of deletions, and none can forget them.
 */
export function withoutHidden<S extends Reading>(store: S): S {
  const query: Store['query'] = async (sql, options) => {
    const { site } = options?.params ?? {}
    if (site === undefined) return store.query(sql, options)
    const hidden = whatIsHidden(store)
    const days = (await hidden.days).get(String(site))
    if (!days) return store.query(sql, options)
    hidden.targets ??= store.targets()
    hidden.targets.catch(() => forgetHidden(store))
    return store.query(shownSql(sql, { days, targets: await hidden.targets }), options)
  }
  return new Proxy(store, {
    get: (target, name) => {
      if (name === 'query') return query
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const SHOWN = { hits_in: 'millrace.shown_hits', sessions_in: 'millrace.shown_sessions' } as const
/** So far from a hidden hit a row of its session may be dated. */
const AROUND_DAYS = 3

interface Hidden {
  /** UTC days of the hidden hits of the site that the statement asks about. */
  readonly days: readonly number[]
  readonly targets: readonly Target[]
}

/** A statement of ours (its texts are bound, none is in it) over what is shown. Rollups are summed anew for the days that lost hits. */
export function shownSql(sql: string, { days, targets }: Hidden): string {
  const rollups = new Map(targets.map((target) => [target.name, target]))
  return sql.replace(/\b(FROM|JOIN)\s+millrace\.(\w+)\b/g, (whole, verb: string, table: string) => {
    if (table === 'hits' || table === 'sessions') return `${verb} millrace.shown_${table}`
    const rollup = rollups.get(table)
    return rollup ? `${verb} ${shownRollup(rollup, days)}` : whole
  })
}

function shownRollup(rollup: Target, hidden: readonly number[]): string {
  const around = hidden.flatMap((day) => Array.from({ length: 2 * AROUND_DAYS + 1 }, (_, i) => day + i - AROUND_DAYS))
  const days = [...new Set(around)].map((day) => `toDate(${Math.max(0, day)})`).join(', ')
  const columns = rollup.columns.map(identifier).join(', ')
  const rows = `(SELECT * FROM ${SHOWN[rollup.source]} WHERE site = {site:String} AND day IN (${days}))`
  return `(SELECT ${columns} FROM millrace.${rollup.name} WHERE site = {site:String} AND day NOT IN (${days})
UNION ALL SELECT ${columns} FROM (${selectFrom(rollup, rows)}))`
}
