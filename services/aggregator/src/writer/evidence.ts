import type { Slice, Store, Target } from '@millrace/store'
import { type Expected, type KoBySlice, sliceKey } from './slices.ts'

/** What the store shows of earlier flushes. Every call asks the store anew and throws its errors. */
export interface Evidence {
  /** Largest offset marked in a target that keeps watermarks, by (kp, month), over all kps. */
  watermarks(target: string): Promise<KoBySlice>
  /** Offset of the live marker of `sessions`, by (kp, month), over all kps. */
  liveMarkers(): Promise<KoBySlice>
  /** Rows in `hits` by slice, within the offsets of each. */
  hitCounts(slices: readonly Expected[]): Promise<ReadonlyMap<string, number>>
  /** Largest offset in `hits` by (kp, month) of these kps. Reads the two columns of the whole table. */
  largestHits(kps: readonly number[]): Promise<KoBySlice>
}

/** The two targets without watermarks: hits is judged by its rows, sessions by its live markers. */
export const HITS = 'hits'
export const SESSIONS = 'sessions'
export const keepsWatermarks = (target: Target): boolean => target.name !== HITS && target.name !== SESSIONS

/**
 * Reads the evidence with SQL. Marker rows stand under the site '', so each read touches a few rows only. Numbers are
 * inlined: they are whole numbers of ours.
 */
export function readEvidence(store: Pick<Store, 'query'>): Evidence {
  return {
    async watermarks(target) {
      const rows = await store.query<{ month: number; kp: number; ko: string }>(
        `SELECT month, arrayJoin(mapKeys(marks)) AS kp, marks[kp] AS ko FROM (
           SELECT toYYYYMM(day) AS month, maxMap(wm) AS marks FROM millrace.${name(target)}
           WHERE site = '' GROUP BY month
         )`,
        { current: name(target) },
      )
      return koBySlice(rows)
    },
    async liveMarkers() {
      const rows = await store.query<{ month: number; kp: number; ko: string }>(
        `SELECT kp, month, max(marker) AS ko FROM (
           SELECT kp, toYYYYMM(day) AS month, ko AS marker FROM millrace.sessions
           WHERE site = '' GROUP BY kp, month, marker HAVING sum(sign) > 0
         ) GROUP BY kp, month`,
        { current: SESSIONS },
      )
      return koBySlice(rows)
    },
    async hitCounts(slices) {
      if (slices.length === 0) return new Map()
      const rows = await store.query<{ kp: number; month: number; n: string }>(
        `SELECT kp, toYYYYMM(day) AS month, count() AS n FROM millrace.hits
         WHERE ${slices.map(range).join(' OR ')} GROUP BY kp, month`,
        { current: HITS },
      )
      return new Map(rows.map((row) => [sliceKey(row), Number(row.n)]))
    },
    async largestHits(kps) {
      if (kps.length === 0) return new Map()
      const rows = await store.query<{ kp: number; month: number; ko: string }>(
        `SELECT kp, toYYYYMM(day) AS month, max(h.ko) AS ko FROM millrace.hits AS h
         WHERE kp IN (${kps.map(whole).join(', ')}) GROUP BY kp, month`,
        { current: HITS },
      )
      return koBySlice(rows)
    },
  }
}

const koBySlice = (rows: readonly (Slice & { ko: string })[]): KoBySlice =>
  new Map(rows.map((row) => [sliceKey(row), Number(row.ko)]))

const range = ({ kp, month, koFrom, koTo }: Expected): string =>
  `(toYYYYMM(day) = ${whole(month)} AND kp = ${whole(kp)} AND ko BETWEEN ${whole(koFrom)} AND ${whole(koTo)})`

function whole(n: number): number {
  if (!Number.isSafeInteger(n)) throw new TypeError(`no whole number: ${n}`)
  return n
}

function name(target: string): string {
  if (!/^[a-z_][a-z0-9_]*$/.test(target)) throw new TypeError(`no table name: ${target}`)
  return target
}
