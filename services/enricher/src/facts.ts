import type { Logger, Registry } from '@millrace/server'
import type { HitRow, Verdict } from '@millrace/shared'
import { Counter, Gauge, Histogram } from 'prom-client'

/** What one batch of a partition came to. Times are milliseconds. */
interface BatchFact {
  readonly partition: number
  readonly rows: number
  readonly verdicts: ReadonlyMap<Verdict, number>
  readonly deadReasons: ReadonlyMap<string, number>
  /** CPU-bound part: reading, enriching, encoding. */
  readonly enrichMs: number
  /** How far the stream is behind the clock. */
  readonly lagMs: number
  readonly sessions: number
  /** Those of the sessions that are put aside. */
  readonly sessionsAside: number
  readonly dedupEntries: number
}

/** Where a partition starts. */
interface RestoreFact {
  readonly partition: number
  readonly head: number
  readonly nextRaw: number
  readonly rows: number
  readonly sessions: number
  readonly ms: number
}

/** Everything that the enricher tells its operator: the only place that knows the logger and the metrics. */
export interface Facts {
  batchWritten(fact: BatchFact): void
  restored(fact: RestoreFact): void
  /** Nobody else had written: the state was kept. */
  kept(partition: number): void
  superseded(partition: number, by: number): void
  appendInDoubt(partition: number): void
  commitRefused(detail: string): void
  /** The partition goes on after a pause. */
  failed(partition: number, error: unknown): void
  /** The partition does not go on by itself. */
  stopped(partition: number, error: unknown, isHole: boolean): void
  lost(partition: number): void
  /** What could go to disk stays in memory for a while. */
  notPutAside(error: unknown): void
  /** Every start reads an hour of hits.enriched: the folder for checkpoints is not this process's own. */
  noCheckpoints(error: unknown): void
  /** A partition is restored from the log alone. */
  checkpointUnreadable(error: unknown): void
  saltDropped(date: string): void
  geoOpened(version: string, attribution: string): void
  /** The file was replaced by one that cannot be read. */
  geoRefused(error: unknown): void
  /** Visitor ids are made with the operator's own key. */
  fingerprintKeyUsed(): void
}

/** Counts the verdicts and reasons of a batch. */
export class VerdictCount {
  readonly verdicts = new Map<Verdict, number>()
  readonly deadReasons = new Map<string, number>()
  add({ verdict, verdict_reason: reason }: Pick<HitRow, 'verdict' | 'verdict_reason'>): void {
    this.verdicts.set(verdict, (this.verdicts.get(verdict) ?? 0) + 1)
    if (verdict === 'dead') this.deadReasons.set(reason, (this.deadReasons.get(reason) ?? 0) + 1)
  }
}

function metricsIn(registry: Registry) {
  const registers = [registry]
  const name = (what: string): string => `millrace_enricher_${what}`
  return {
    hits: new Counter({ name: name('hits_total'), help: 'Hits by verdict', labelNames: ['verdict'], registers }),
    dead: new Counter({
      name: name('dead_hits_total'),
      help: 'Dead hits by reason',
      labelNames: ['reason'],
      registers,
    }),
    batches: new Counter({ name: name('batches_total'), help: 'Records appended to hits.enriched', registers }),
    rows: new Histogram({
      name: name('batch_rows'),
      help: 'Rows of a record',
      buckets: [1, 10, 100, 500, 1_000, 5_000, 10_000, 20_000],
      registers,
    }),
    seconds: new Counter({
      name: name('busy_seconds_total'),
      help: 'Time spent on reading, enriching and encoding',
      registers,
    }),
    restoreSeconds: new Counter({
      name: name('restore_seconds_total'),
      help: 'Time spent on restoring partitions',
      registers,
    }),
    restoreRows: new Counter({ name: name('restored_rows_total'), help: 'Rows read to restore partitions', registers }),
    superseded: new Counter({
      name: name('superseded_total'),
      help: 'Own records that came after those of another writer',
      registers,
    }),
    doubts: new Counter({
      name: name('appends_in_doubt_total'),
      help: 'Appends that were repeated because their outcome was not known',
      registers,
    }),
    refused: new Counter({ name: name('commits_refused_total'), help: 'Commits refused by the group', registers }),
    failures: new Counter({
      name: name('failures_total'),
      help: 'Errors after which a partition was restored',
      registers,
    }),
    holes: new Counter({
      name: name('holes_total'),
      help: 'Partitions stopped because raw hits are missing',
      registers,
    }),
    salts: new Counter({
      name: name('salts_dropped_total'),
      help: 'Salts forgotten at the end of their life',
      registers,
    }),
    geoRefused: new Counter({
      name: name('geo_refused_total'),
      help: 'New geographical databases that could not be read; the one before stays in use',
      registers,
    }),
    notPutAside: new Counter({
      name: name('aside_failures_total'),
      help: 'Times that the disk did not take what is remembered but seldom asked for',
      registers,
    }),
    lag: new Gauge({
      name: name('stream_lag_seconds'),
      help: 'How far the stream time is behind the clock after a batch',
      labelNames: ['partition'],
      registers,
    }),
    sessions: new Gauge({
      name: name('sessions'),
      help: 'Sessions that can still be joined',
      labelNames: ['partition'],
      registers,
    }),
    sessionsAside: new Gauge({
      name: name('sessions_aside'),
      help: 'Sessions that can still be joined, put aside on disk',
      labelNames: ['partition'],
      registers,
    }),
    dedup: new Gauge({
      name: name('dedup_entries'),
      help: 'hit_ids held to tell duplicates',
      labelNames: ['partition'],
      registers,
    }),
  }
}

/** Facts as log lines and metrics of `registry`. */
export function createFacts(logger: Logger, registry: Registry): Facts {
  const m = metricsIn(registry)
  return {
    batchWritten: (fact) => {
      for (const [verdict, count] of fact.verdicts) m.hits.inc({ verdict }, count)
      for (const [reason, count] of fact.deadReasons) m.dead.inc({ reason }, count)
      m.batches.inc()
      m.rows.observe(fact.rows)
      m.seconds.inc(fact.enrichMs / 1_000)
      const partition = String(fact.partition)
      m.lag.set({ partition }, fact.lagMs / 1_000)
      m.sessions.set({ partition }, fact.sessions)
      m.sessionsAside.set({ partition }, fact.sessionsAside)
      m.dedup.set({ partition }, fact.dedupEntries)
    },
    restored: (fact) => {
      m.restoreSeconds.inc(fact.ms / 1_000)
      m.restoreRows.inc(fact.rows)
      logger.info(fact, 'partition restored from hits.enriched')
    },
    kept: (partition) => logger.info({ partition }, 'partition kept: nobody else wrote in between'),
    superseded: (partition, by) => {
      m.superseded.inc()
      logger.warn({ partition, by }, 'another writer was first: the state is dropped and restored')
    },
    appendInDoubt: (partition) => {
      m.doubts.inc()
      logger.warn({ partition }, 'append in doubt: repeated with the same bytes')
    },
    commitRefused: (detail) => {
      m.refused.inc()
      logger.warn({ detail }, 'commit refused: the partition may have another owner')
    },
    failed: (partition, error) => {
      m.failures.inc()
      logger.error({ partition, err: error }, 'partition failed: it is restored and tried again')
    },
    stopped: (partition, error, isHole) => {
      if (isHole) m.holes.inc()
      logger.fatal({ partition, err: error }, 'partition stopped')
    },
    lost: (partition) => {
      for (const gauge of [m.lag, m.sessions, m.sessionsAside, m.dedup]) gauge.remove({ partition: String(partition) })
      logger.info({ partition }, 'partition lost')
    },
    notPutAside: (error) => {
      m.notPutAside.inc()
      logger.warn(
        { err: error },
        'nothing can be put aside on disk: for a minute all that is remembered stays in memory',
      )
    },
    noCheckpoints: (error) =>
      logger.warn(
        { err: error },
        'no checkpoints are kept: every start reads what was enriched in the last 75 minutes',
      ),
    checkpointUnreadable: (error) =>
      logger.warn({ err: error }, 'a checkpoint cannot be read: the partition is restored from the log alone'),
    saltDropped: (date) => {
      m.salts.inc()
      logger.info({ audit: true, date }, 'salt dropped: visitor ids of this day cannot be recomputed any more')
    },
    geoOpened: (version, attribution) => logger.info({ version, attribution }, 'geographical database opened'),
    geoRefused: (error) => {
      m.geoRefused.inc()
      logger.error({ err: error }, 'the new geographical database cannot be read: the one before stays in use')
    },
    fingerprintKeyUsed: () =>
      logger.warn(
        { audit: true },
        'MILLRACE_FINGERPRINT_KEY is set: whoever has it can recompute every visitor id from address and agent, for ever (docs/privacy.md)',
      ),
  }
}
