import type { BackoffLimits } from './backoff.ts'
import { BATCH_LIMITS, type BatchLimits } from './batch.ts'

/** Every limit of the writer; tests take smaller ones. Times are milliseconds. */
export interface WriterLimits {
  readonly batch: BatchLimits
  readonly backoff: BackoffLimits
  /** An insert must begin this long after its plan: later the tables refuse it. */
  readonly deadlineMs: number
  /** An insert that has not answered after this time is in doubt. */
  readonly insertTimeoutMs: number
  /** Nothing to insert for this long: an empty plan is committed. */
  readonly idleCommitMs: number
  /**
   * Wait for the deadline of an open plan before its slices are checked: an insert may still be on its way to a server.
   * False for the embedded store: its inserts die with their process.
   */
  readonly waitForDeadline: boolean
}

/**
 * Of the engine in this process: what waits and what it makes of it is our own memory. More than this comes in a second
 * only while a backlog is worked off.
 */
export const EMBEDDED_BATCH: BatchLimits = { ...BATCH_LIMITS, rows: 50_000, bytes: 24 << 20 }

export const WRITER_LIMITS: WriterLimits = {
  batch: BATCH_LIMITS,
  backoff: { firstMs: 100, mostMs: 15_000 },
  deadlineMs: 30_000,
  insertTimeoutMs: 180_000,
  idleCommitMs: 1_000,
  waitForDeadline: false,
}
