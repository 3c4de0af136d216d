import type { EmbeddedLog } from '@millrace/log'
import { Gauge, type Logger, type Server } from '@millrace/server'
import { AGGREGATOR_GROUP, ENRICHER_GROUP, HITS_ENRICHED, HITS_RAW, integer } from '@millrace/shared'
import { lookEvery } from './look-every.ts'

const POLL_MS = 1_000

/** Of the process that takes hits and stores them. */
export const BACKLOG_SETTINGS = {
  MILLRACE_BACKLOG_MAX_MB: integer(
    2048,
    0,
    1_048_576,
    'How much of the log of the process may wait to be enriched and stored, in MiB; above it hits are answered with 503 until there is less; 0 = without limit',
  ),
}

/** What waits in the embedded log to be enriched and stored, while somebody follows it. */
export interface Backlog {
  /** What waits, in bytes. */
  bytes(): number
  /** More waits than may. */
  isFull(): boolean
  close(): void
}

/**
 * Follows what waits in `log`, so that senders who send more than this machine can store are told so before the disk is full
 * of it. `maxMb` MiB, 0 = no limit. Says it in the metrics, in the log and at /readyz.
 */
export function followBacklog(
  log: Pick<EmbeddedLog, 'backlogOf'>,
  { registry, readiness }: Pick<Server, 'registry' | 'readiness'>,
  logger: Logger,
  maxMb: number,
): Backlog {
  const limit = maxMb > 0 ? maxMb * 2 ** 20 : Number.POSITIVE_INFINITY
  let full = false
  let bytes = 0
  const gauge = new Gauge({
    name: 'millrace_backlog_bytes',
    help: 'Bytes of the embedded log that wait to be enriched and stored',
    registers: [registry],
  })
  async function look(): Promise<void> {
    const [raw, enriched] = await Promise.all([
      log.backlogOf(ENRICHER_GROUP, HITS_RAW.name),
      log.backlogOf(AGGREGATOR_GROUP, HITS_ENRICHED.name),
    ])
    bytes = raw + enriched
    gauge.set(bytes)
    tell(bytes >= limit)
  }
  function tell(isFull: boolean): void {
    if (isFull === full) return
    full = isFull
    readiness.set('backlog', isFull ? `more than ${maxMb} MiB of hits wait to be stored` : null)
    if (isFull) logger.warn({ maxMb }, 'too many hits wait to be stored: senders are told to come back later')
    else logger.info('hits are taken again')
  }
  return { bytes: () => bytes, isFull: () => full, close: lookEvery(POLL_MS, look) }
}
