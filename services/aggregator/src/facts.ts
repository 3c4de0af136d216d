import type { Logger, Registry } from '@millrace/server'
import { Counter, Gauge, Histogram } from 'prom-client'
import { REJECTIONS, type Rejection } from './writer/chain.ts'
import { RECOVERY_CAUSES, type RecoveryCause } from './writer/recover.ts'

/** A flush that was in doubt and is complete now. */
export interface Recovered {
  readonly flush: string
  readonly attempt: number
  readonly cause: RecoveryCause
  /** Slices of all targets, and how many of them were missing when the recovery looked first. */
  readonly slices: number
  readonly missing: number
}

/** What the writer has to tell: logger and metrics are known here and nowhere else. */
export interface Facts {
  assigned(partition: number, offset: number): void
  startedWithoutPosition(partition: number, offset: number, maxKo: number): void
  /** Without a position a target was found to end early in a month, and was brought up to the others. */
  mended(partition: number, target: string, month: number, records: number): void
  lost(partitions: readonly number[]): void
  /** The partition does nothing until it is assigned anew: a person has to look at it. */
  stopped(partition: number, reason: string): void
  accepted(records: number): void
  rejected(partition: number, rejected: readonly Rejection[]): void
  flushed(rows: number, bytes: number, seconds: number): void
  insertInDoubt(flush: string, error: unknown): void
  planFailed(flush: string, error: unknown): void
  recovered(recovered: Recovered): void
  recoveryFailed(flush: string, error: unknown): void
  restoreFailed(error: unknown): void
  /** The writer met something that nobody foresaw and does nothing any more. */
  crashed(error: unknown): void
  idleCommitFailed(error: unknown): void
  /** Called when the metrics are read: records of hits.enriched that are not inserted yet. */
  onLag(lag: () => Promise<number>): void
}

const INSERT_SECONDS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60]

/** An error as a log line shows it: what kind and what it says, never what it carries. */
const told = (error: unknown) => ({ error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) })

/** Facts as JSON lines and as metrics named `millrace_aggregator_*`. */
export function createFacts(logger: Logger, registry: Registry): Facts {
  const metrics = createMetrics(registry)
  const stopped = new Set<number>()
  const countStopped = () => metrics.stopped.set(stopped.size)
  return {
    assigned(partition, offset) {
      if (stopped.delete(partition)) countStopped()
      logger.info({ partition, offset }, 'partition assigned')
    },
    startedWithoutPosition(partition, offset, max_ko) {
      logger.warn({ partition, offset, max_ko }, 'no committed position: starting behind what the store holds')
    },
    mended(partition, target, month, records) {
      logger.warn({ partition, target, month, records }, 'an interrupted flush was completed without its plan')
    },
    lost(partitions) {
      for (const partition of partitions) stopped.delete(partition)
      countStopped()
      if (partitions.length > 0) logger.info({ partitions }, 'partitions lost')
    },
    stopped(partition, reason) {
      stopped.add(partition)
      countStopped()
      logger.error({ partition, reason }, 'partition stopped')
    },
    accepted: (records) => metrics.accepted.inc(records),
    rejected(partition, rejected) {
      for (const reason of rejected) metrics.rejected.inc({ reason })
      logger.warn({ partition, records: rejected.length }, 'enriched records rejected: not the next of the chain')
    },
    flushed(rows, bytes, seconds) {
      metrics.flushes.inc()
      metrics.rows.inc(rows)
      metrics.bytes.inc(bytes)
      metrics.seconds.observe(seconds)
    },
    insertInDoubt(flush, error) {
      metrics.doubts.inc()
      logger.warn({ flush, ...told(error) }, 'insert in doubt')
    },
    planFailed(flush, error) {
      metrics.failures.inc({ step: 'plan' })
      logger.warn({ flush, ...told(error) }, 'plan not committed')
    },
    recovered({ flush, attempt, cause, slices, missing }) {
      metrics.recoveries.inc({ cause })
      metrics.slicesChecked.inc(slices)
      metrics.slicesMissing.inc(missing)
      const line = `recovered flush: ${missing} of ${slices} slices were missing`
      logger.info({ flush, attempt, cause, slices, missing }, line)
    },
    recoveryFailed(flush, error) {
      metrics.failures.inc({ step: 'recovery' })
      logger.warn({ flush, ...told(error) }, 'recovery failed, trying again')
    },
    restoreFailed(error) {
      metrics.failures.inc({ step: 'restore' })
      logger.warn(told(error), 'positions could not be restored, trying again')
    },
    crashed(error) {
      logger.fatal(told(error), 'the writer ended')
    },
    idleCommitFailed(error) {
      metrics.failures.inc({ step: 'idle_commit' })
      logger.warn(told(error), 'empty plan not committed, trying again')
    },
    onLag: (lag) => metrics.onLag(lag),
  }
}

function createMetrics(registry: Registry) {
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Counter<L>({ name: `millrace_aggregator_${name}`, help, labelNames, registers })
  const metrics = {
    flushes: counter('flushes_total', 'Batches inserted at the first attempt'),
    rows: counter('rows_total', 'Hit rows inserted at the first attempt'),
    bytes: counter('bytes_total', 'Bytes of Native blocks inserted at the first attempt'),
    doubts: counter('doubts_total', 'Inserts of which it was not known whether they happened'),
    failures: counter('failures_total', 'Steps that failed and were tried again, by step', ['step']),
    recoveries: counter('recoveries_total', 'Flushes that were in doubt and brought to their end, by cause', ['cause']),
    slicesChecked: counter('slices_checked_total', 'Slices that recoveries looked into'),
    slicesMissing: counter('slices_missing_total', 'Slices that recoveries found missing and inserted'),
    accepted: counter('accepted_records_total', 'Enriched records taken from the log, the next of the chain'),
    rejected: counter('rejected_records_total', 'Enriched records that were not the next of the chain, by reason', [
      'reason',
    ]),
    seconds: new Histogram({
      name: 'millrace_aggregator_flush_seconds',
      help: 'Time of a batch from its plan to its last insert',
      buckets: INSERT_SECONDS,
      registers,
    }),
    stopped: new Gauge({
      name: 'millrace_aggregator_stopped_partitions',
      help: 'Partitions that do nothing until a person has looked at them',
      registers,
    }),
    onLag(lag: () => Promise<number>) {
      new Gauge({
        name: 'millrace_aggregator_lag_records',
        help: 'Records of hits.enriched that are not inserted yet',
        registers,
        async collect() {
          this.set(await lag())
        },
      })
    },
  }
  for (const reason of REJECTIONS) metrics.rejected.inc({ reason }, 0)
  for (const cause of RECOVERY_CAUSES) metrics.recoveries.inc({ cause }, 0)
  return metrics
}
