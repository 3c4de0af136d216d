import type { EventLog } from '@millrace/log'
import type { Logger, Registry } from '@millrace/server'
import type { Store } from '@millrace/store'
import { createFacts } from './facts.ts'
import type { AggregatorSettings } from './settings.ts'
import { readEvidence } from './writer/evidence.ts'
import { EMBEDDED_BATCH, WRITER_LIMITS, type WriterLimits } from './writer/limits.ts'
import { startWriter, type Writer } from './writer/write.ts'

export interface AggregatorOptions {
  readonly log: EventLog
  /** Migrated. The writer takes it for inserts and recoveries; it does not close it. */
  readonly store: Store
  /** Of those that are missing, the default. */
  readonly settings: Partial<AggregatorSettings>
  readonly logger: Logger
  readonly registry: Registry
  /** Other limits than the product's: for tests. */
  readonly limits?: Partial<WriterLimits>
}

/** The writer of the aggregator: hits.enriched -> ClickHouse, each hit once. Resolves when the group has taken it in. */
export async function startAggregator(options: AggregatorOptions): Promise<Writer> {
  const { log, store, settings, logger, registry, limits } = options
  const { MILLRACE_INSERT_DEADLINE_MS: deadlineMs = WRITER_LIMITS.deadlineMs } = settings
  // The embedded engine ends with its process, and what it does is always waited for: there is nothing to hurry.
  const ofServer = { insertTimeoutMs: 2 * deadlineMs, waitForDeadline: true }
  return startWriter({
    log,
    store,
    evidence: readEvidence(store),
    facts: createFacts(logger, registry),
    limits: { ...WRITER_LIMITS, deadlineMs, ...(store.shared ? ofServer : { batch: EMBEDDED_BATCH }), ...limits },
  })
}
