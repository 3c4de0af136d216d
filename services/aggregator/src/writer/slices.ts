import type { RowsByMonth } from '@millrace/shared'
import type { Slice } from '@millrace/store'
import type { Share } from './batch.ts'

/** What a flush puts into the slice (kp, month) of every target of one ingest table. */
export interface Expected extends Slice {
  /** Rows without the marker. */
  readonly rows: number
  /** Raw offsets of the share; `koTo` is the marker's. */
  readonly koFrom: number
  readonly koTo: number
}

/** The expected slices of both ingest tables. */
export interface ExpectedSlices {
  readonly hits_in: readonly Expected[]
  readonly sessions_in: readonly Expected[]
}

export function expectedSlices(shares: readonly Share[]): ExpectedSlices {
  const of = (rowsByMonth: (share: Share) => RowsByMonth): Expected[] =>
    shares.flatMap((share) =>
      Object.entries(rowsByMonth(share)).map(([month, rows]) => ({
        kp: share.owner.kp,
        month: Number(month),
        rows,
        koFrom: share.srcFrom,
        koTo: share.srcTo,
      })),
    )
  return { hits_in: of((share) => share.hitRows), sessions_in: of((share) => share.sessionRows) }
}

/** Key of a slice in maps. */
export const sliceKey = ({ kp, month }: Slice): string => `${kp}/${month}`
/** Offsets by slice key: watermarks of a target, or live markers. */
export type KoBySlice = ReadonlyMap<string, number>
/** Marks of every target that keeps some, by target. */
export type Marks = ReadonlyMap<string, KoBySlice>

/**
 * Log, group position and store contradict each other in a way that no crash of ours leaves. Nothing is guessed: the
 * partition stops, and the message says what a person has to look at.
 */
export class PartitionBroken extends Error {
  override readonly name = 'PartitionBroken'
  readonly kp: number
  constructor(kp: number, message: string) {
    super(message)
    this.kp = kp
  }
}

/** Slices that are not there, judged by watermarks: a slice is there when its marker, or a later one, is. */
export function missingByMark(expected: readonly Expected[], marks: KoBySlice): Expected[] {
  return expected.filter((slice) => (marks.get(sliceKey(slice)) ?? -1) < slice.koTo)
}

/**
 * Slices that are not there, judged by the number of rows.
 * @throws PartitionBroken when a slice is there in part or more than once
 */
export function missingByCount(expected: readonly Expected[], counts: ReadonlyMap<string, number>): Expected[] {
  return expected.filter((slice) => {
    const found = counts.get(sliceKey(slice)) ?? 0
    if (found !== 0 && found !== slice.rows)
      throw new PartitionBroken(
        slice.kp,
        `hits of kp ${slice.kp}, month ${slice.month}, offsets ${slice.koFrom} to ${slice.koTo}: ${found} rows instead of ${slice.rows}`,
      )
    return found === 0
  })
}

/** Largest mark of a kp over all months; -1 = none. */
export function largestMark(marks: KoBySlice, kp: number): number {
  let largest = -1
  for (const [key, ko] of marks) if (key.startsWith(`${kp}/`) && ko > largest) largest = ko
  return largest
}
