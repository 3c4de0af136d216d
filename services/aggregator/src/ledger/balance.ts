import { kpOf } from '@millrace/shared'
import type { Store } from '@millrace/store'

/** How the rows of one log partition stand against the offsets of hits.raw that are still in the log. */
interface PartitionBalance {
  readonly kp: number
  /** First raw offset in the log, and the last one that has rows; -1 = none has. */
  readonly from: number
  readonly to: number
  /** Raw records from..to that have rows, and their rows: one a hit. */
  readonly records: number
  readonly rows: number
  /** Records from..to without a row; hits of a record that others of it show to be missing; rows of a hit beyond the first. */
  readonly missing_records: number
  readonly missing_rows: number
  readonly repeated_rows: number
  /** Raw records behind `to`: not counted yet. */
  readonly waiting_records: number
}

export interface Balance {
  readonly balanced: boolean
  readonly partitions: readonly PartitionBalance[]
}

/** Offsets of hits.raw by partition. */
export interface RawOffsets {
  readonly epoch: number
  readonly low: ReadonlyMap<number, number>
  readonly end: ReadonlyMap<number, number>
}

/** What the store has of one kp, from its lowest offset in the log on. 64-bit numbers are texts. */
export interface CountedRows {
  readonly kp: number
  readonly records: string
  readonly rows: string
  readonly missing_rows: string
  readonly repeated_rows: string
  readonly last: string
}

/** Compares what was counted with the offsets of the log. */
export function balanceOf(counted: readonly CountedRows[], { epoch, low, end }: RawOffsets): Balance {
  const byKp = new Map(counted.map((row) => [row.kp, row]))
  const partitions = [...end]
    .sort(([a], [b]) => a - b)
    .map(([partition, endOffset]): PartitionBalance => {
      const kp = kpOf(epoch, partition)
      const from = low.get(partition) ?? 0
      const row = byKp.get(kp)
      const to = row ? Number(row.last) : -1
      const records = Number(row?.records ?? 0)
      return {
        ...{ kp, from, to, records, rows: Number(row?.rows ?? 0) },
        missing_records: row ? to - from + 1 - records : 0,
        missing_rows: Number(row?.missing_rows ?? 0),
        repeated_rows: Number(row?.repeated_rows ?? 0),
        waiting_records: Math.max(0, endOffset - Math.max(from, to + 1)),
      }
    })
  const balanced = partitions.every((p) => p.missing_records === 0 && p.missing_rows === 0 && p.repeated_rows === 0)
  return { balanced, partitions }
}

/** Counts the rows of what is in the log, record by record. */
export function countRows(store: Pick<Store, 'query'>, { epoch, low, end }: RawOffsets): Promise<CountedRows[]> {
  const partitions = [...end.keys()]
  return store.query<CountedRows>(
    `SELECT kp, count() AS records, sum(n) AS rows, sum(top + 1 - distinct_rows) AS missing_rows,
  sum(n - distinct_rows) AS repeated_rows, max(ko) AS last
FROM (
  SELECT kp, ko, count() AS n, uniqExact(ki) AS distinct_rows, max(ki) AS top
  FROM millrace.hits
  WHERE verdict != 'marker' AND ko >= transform(kp, {kps:Array(UInt32)}, {lows:Array(UInt64)}, 18446744073709551615)
  GROUP BY kp, ko
)
GROUP BY kp`,
    {
      params: {
        kps: partitions.map((partition) => kpOf(epoch, partition)),
        lows: partitions.map((partition) => low.get(partition) ?? 0),
      },
      current: 'hits',
    },
  )
}
