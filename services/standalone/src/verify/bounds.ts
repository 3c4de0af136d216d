/** Up to where log and store can be compared while hits come in: what the aggregator has committed as inserted. */
import type { EventLog } from '@millrace/log'
import { AGGREGATOR_GROUP, HITS_ENRICHED, HITS_RAW, kpOf } from '@millrace/shared'
import type { Findings } from './findings.ts'

/** One partition of the log. */
export interface PartitionBound {
  readonly partition: number
  readonly kp: number
  /** Raw offsets below it are inserted, all of them; 0 = nothing is known to be. */
  readonly below: number
  /** The last accepted record of hits.enriched that is inserted; below 0 = none is known. */
  readonly head: number
  /** Oldest and next offset of hits.raw and hits.enriched. */
  readonly raw: { readonly low: number; readonly end: number }
  readonly enriched: { readonly low: number; readonly end: number }
  /** A flush that was planned and is not known to be done. */
  readonly openFlush: string | null
}

export interface Bounds {
  readonly epoch: number
  readonly partitions: readonly PartitionBound[]
  /** Condition of SQL on kp and ko: rows that are settled. */
  readonly settled: string
}

/** Reads the positions. What has no position is left out, and said. */
export async function readBounds(log: EventLog, findings: Findings): Promise<Bounds> {
  const admin = log.admin()
  const epoch = await log.epoch()
  const committed = await admin.committed(AGGREGATOR_GROUP, HITS_ENRICHED.name)
  const rawLows = await admin.lowOffsets(HITS_RAW.name)
  const rawEnds = await admin.endOffsets(HITS_RAW.name)
  const enrichedLows = await admin.lowOffsets(HITS_ENRICHED.name)
  const enrichedEnds = await admin.endOffsets(HITS_ENRICHED.name)
  await admin.close()
  const partitions: PartitionBound[] = []
  for (const [partition, end] of rawEnds) {
    const { below, head, openFlush } = readPosition(committed.get(partition)?.metadata)
    if (below < end)
      findings.notCompared(`partition ${partition}: raw offsets from ${below} to ${end - 1}, which are not counted yet`)
    partitions.push({
      ...{ partition, kp: kpOf(epoch, partition), below, head, openFlush },
      raw: { low: rawLows.get(partition) ?? 0, end },
      enriched: { low: enrichedLows.get(partition) ?? 0, end: enrichedEnds.get(partition) ?? 0 },
    })
  }
  return { epoch, partitions, settled: settledSql(partitions) }
}

/** The metadata of the aggregator's position, as docs/reference/topics.md has it. Read here once more: the writer's own reading is not relied on. */
function readPosition(metadata: string | undefined): { below: number; head: number; openFlush: string | null } {
  try {
    const { v, src_max, head, flush, claimed_until } = JSON.parse(metadata ?? '') as Record<string, unknown>
    if (v === 1 && Number.isSafeInteger(src_max) && Number.isSafeInteger(head) && claimed_until === undefined) {
      return {
        below: (src_max as number) + 1,
        head: head as number,
        openFlush: flush === undefined ? null : String(flush),
      }
    }
  } catch {
    // No position, or one that is not ours: nothing is known.
  }
  return { below: 0, head: -1, openFlush: null }
}

function settledSql(partitions: readonly PartitionBound[]): string {
  const list = (values: number[]): string => `CAST([${values.join(', ')}], 'Array(UInt64)')`
  const kps = list(partitions.map(({ kp }) => kp))
  const ends = list(partitions.map(({ below }) => below))
  return `(ko < transform(toUInt64(kp), ${kps}, ${ends}, toUInt64(18446744073709551615)))`
}
