import type { BlockInsert } from '@millrace/store'
import type { Share } from './batch.ts'
import { hitMarkers, sessionMarkers } from './markers.ts'
import { logComment } from './plan.ts'
import type { ExpectedSlices, KoBySlice } from './slices.ts'

/** An attempt of a flush, as its inserts are named. */
export interface Attempt {
  readonly flush: string
  readonly attempt: number
  readonly deadline: number
}

/**
 * The inserts of a flush: the records' bytes as they are, marker rows behind them. The same shares give the same rows.
 * A table without slices has no blocks.
 */
export function insertsOf(
  shares: readonly Share[],
  slices: ExpectedSlices,
  live: KoBySlice,
  { flush, attempt, deadline }: Attempt,
): Record<BlockInsert['table'], BlockInsert> {
  const insert = (table: BlockInsert['table'], blocks: Buffer[], markers: Buffer): BlockInsert => ({
    table,
    blocks: [...blocks, markers].filter((block) => block.length > 0),
    logComment: logComment(flush, attempt, table, deadline),
  })
  const records = shares.flatMap((share) => share.records)
  return {
    hits_in: insert(
      'hits_in',
      records.map(({ hits }) => hits),
      hitMarkers(slices.hits_in),
    ),
    sessions_in: insert(
      'sessions_in',
      records.map(({ sessions }) => sessions),
      sessionMarkers(slices.sessions_in, live),
    ),
  }
}
