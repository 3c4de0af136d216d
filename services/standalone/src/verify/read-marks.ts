import type { Store, Target } from '@millrace/store'
import type { Marks } from './compare-chain.ts'

/** The largest raw offset that each target but `hits` has taken, by kp and month, as its marker rows say. */
export async function readMarks(store: Pick<Store, 'query' | 'targets'>): Promise<Marks> {
  const marks = new Map<string, { source: Target['source']; at: ReadonlyMap<string, number> }>()
  for (const { name, source } of await store.targets()) {
    if (name === 'hits') continue
    const sql =
      name === 'sessions'
        ? `SELECT kp, month, max(at) AS ko FROM (
             SELECT kp, toYYYYMM(day) AS month, ko AS at FROM millrace.sessions WHERE site = ''
             GROUP BY kp, month, at HAVING sum(sign) > 0
           ) GROUP BY kp, month`
        : `SELECT month, arrayJoin(mapKeys(marks)) AS kp, marks[kp] AS ko FROM (
             SELECT toYYYYMM(day) AS month, maxMap(wm) AS marks FROM millrace.${name} WHERE site = '' GROUP BY month
           )`
    const rows = await store.query<{ kp: number; month: number; ko: string }>(sql)
    marks.set(name, { source, at: new Map(rows.map(({ kp, month, ko }) => [`${kp}/${month}`, Number(ko)])) })
  }
  return marks
}
