import type { Store } from '@millrace/store'

/** Days of sites whose rows were rebuilt: rows that are missing there were deleted on purpose. */
export interface Rebuilt {
  /** `day`: since 1970-01-01. */
  mayHaveDeleted(site: string, day: number): boolean
  /** Sites whose rebuild is under way, or was interrupted. */
  readonly open: readonly string[]
  /** Condition of SQL on `site`: no rebuild works on it. */
  readonly atRest: string
  /** Condition of SQL on `site` and `day`: sessions that began or ended around a day that a rebuild has deleted. */
  readonly nearDeleted: string
}

interface Row {
  readonly site: string
  readonly state: string
  readonly first: number
  readonly last: number
  readonly keep: number
  readonly deleted: string
}

/** Reads the register of rebuilds. */
export async function readRebuilt(store: Pick<Store, 'query'>): Promise<Rebuilt> {
  const rows = await store.query<Row>(
    `SELECT toString(site) AS site, toString(state) AS state, toUInt32(first_day) AS first, toUInt32(last_day) AS last,
       toUInt32(keep_from) AS keep, toString(hits_deleted + sessions_deleted) AS deleted
     FROM (SELECT * FROM millrace.rebuilds ORDER BY state DESC, at DESC LIMIT 1 BY id)`,
  )
  const deleting = rows.filter(({ deleted }) => deleted !== '0')
  const quoted = (site: string): string => `'${site.replaceAll(/['\\]/g, '\\$&')}'`
  const near = deleting.map(
    ({ site, first, last }) =>
      `(site = ${quoted(site)} AND toUInt32(day) BETWEEN ${Math.max(0, first - 2)} AND ${last + 2})`,
  )
  const open = rows.filter(({ state }) => state !== 'done').map(({ site }) => site)
  return {
    mayHaveDeleted: (site, day) =>
      open.includes(site) || deleting.some((row) => row.site === site && day >= row.first - 1 && day <= row.last + 1),
    open,
    atRest: open.length > 0 ? `site NOT IN (${open.map(quoted).join(', ')})` : '1',
    nearDeleted: near.length > 0 ? near.join(' OR ') : '0',
  }
}
