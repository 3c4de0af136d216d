import type { ConfigBook, ConfigWriter } from '@millrace/config'
import type { EventLog } from '@millrace/log'
import { findHoles, type Hole } from './holes.ts'

export interface AcceptParts {
  readonly log: EventLog
  readonly config: Pick<ConfigBook, 'gapAt'>
  readonly writer: Pick<ConfigWriter, 'acceptGap'>
}

/**
 * The holes of hits.raw in front of which the enricher stands, of one partition or of all (null). With `accept` the enricher
 * goes on behind them from then on; what is missing is lost. Those that were accepted before are left out.
 */
export async function acceptHoles(
  { log, config, writer }: AcceptParts,
  accept: boolean,
  partition: number | null,
): Promise<Hole[]> {
  const holes = (await findHoles(log)).filter(
    (hole) =>
      (partition === null || hole.partition === partition) && config.gapAt(hole.partition, hole.from) !== hole.to,
  )
  if (accept) for (const { partition: of, from, to } of holes) await writer.acceptGap(of, from, to)
  return holes
}
