import type { Store } from '@millrace/store'
import { DUE_MARGIN_DAYS } from '../rebuild/statements.ts'

/** Days that one rebuild of a deletion takes at most: so a large one is many small ones. */
const RUN_DAYS = 31

/** Days of a site of which hidden rows are to be deleted, both included. Numbers since 1970-01-01. */
interface DueDays {
  readonly site: string
  readonly from: number
  readonly to: number
}

/** Hidden rows that belong together (of a session, else of one hit), by the first and last UTC day of such a group. */
interface Group {
  readonly site: string
  readonly first: number
  readonly last: number
}

const GROUPS = `SELECT site, first, max(last) AS last FROM (
  SELECT site, toUInt32(toDate(min(time))) AS first, toUInt32(toDate(max(time))) AS last
  FROM millrace.hidden_hits
  GROUP BY site, session_id, if(session_id = 0, (kp, ko, ki), (0, 0, 0))
) GROUP BY site, first ORDER BY site, first`

/** What could be deleted now, were its days closed up to `closedDay`: stretches of days, each for a rebuild of its own. */
export async function readDue(store: Pick<Store, 'query'>, closedDay: number): Promise<DueDays[]> {
  const groups = await store.query<Group>(GROUPS, { current: 'hidden_hits' })
  return dueDays(groups, closedDay)
}

/** The stretches of days around groups that lie in closed ones; days far apart are not joined. */
export function dueDays(groups: readonly Group[], closedDay: number): DueDays[] {
  const due: DueDays[] = []
  for (const { site, first, last } of groups) {
    const [from, to] = [Math.max(first - DUE_MARGIN_DAYS, 0), last + DUE_MARGIN_DAYS]
    if (to > closedDay) continue
    const before = due.at(-1)
    if (before && before.site === site && from <= before.to && Math.max(to, before.to) - before.from < RUN_DAYS)
      due[due.length - 1] = { ...before, to: Math.max(to, before.to) }
    else due.push({ site, from, to })
  }
  return due
}
