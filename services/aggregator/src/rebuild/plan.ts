import type { LocalDays } from '@millrace/shared'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
/**
 * How long after the end of a UTC day everything must be counted so that no hit comes into the local day of that date any
 * more: 48 h (a hit's time is at most 24 h before its collector's, a spool at most 6 h old), and 12 h for the zone
 * furthest to the west.
 */
const CLOSED_AFTER_MS = 48 * HOUR_MS + 12 * HOUR_MS

/** What one rebuild does. Days are numbers since 1970-01-01. */
export interface RebuildPlan {
  readonly id: string
  readonly site: string
  /** IANA zone by which the days are to be. */
  readonly zone: string
  /** Days that it touches, both included. All are closed. */
  readonly from: number
  readonly to: number
  /** Rows of earlier days are deleted; 0 = none. */
  readonly keepFrom: number
}

/** What was asked for, and by which rules. */
export interface RebuildWish {
  readonly id: string
  readonly site: string
  readonly zone: LocalDays
  /** Days before today that are kept; 0 = for ever. */
  readonly retentionDays: number
  /** Days, both included; null = all. */
  readonly from: number | null
  readonly to: number | null
}

/** The last day into which nothing is inserted any more; negative = none. `completeUntilMs`: every hit of the log before it is counted. */
export const lastClosedDay = (completeUntilMs: number): number =>
  Math.floor((completeUntilMs - CLOSED_AFTER_MS) / DAY_MS) - 1

/** Time from which on hits may still come, so that a session that has one later may still change. Epoch ms. */
export const openSince = (completeUntilMs: number): number => completeUntilMs - CLOSED_AFTER_MS

/** The plan for the closed ones of the days; null = none of them is closed. */
export function planRebuild(wish: RebuildWish, nowMs: number, completeUntilMs: number): RebuildPlan | null {
  const { id, site, zone, retentionDays } = wish
  const from = Math.max(wish.from ?? 0, 0)
  const closed = lastClosedDay(Math.min(nowMs, completeUntilMs))
  const to = Math.min(wish.to ?? closed, closed)
  if (to < from) return null
  const keepFrom = retentionDays > 0 ? Math.max(zone.dayOf(nowMs) - retentionDays, 0) : 0
  return { id, site, zone: zone.zone, from, to, keepFrom }
}
