import { AppendRefused } from '@millrace/log'
import type { Logger, Readiness, Registry } from '@millrace/server'
import type { ErrorCode } from '@millrace/shared'
import { Counter, Gauge, Histogram } from 'prom-client'
import type { IgnoredHit } from './admit.ts'
import type { SpoolFound } from './spool/spool-files.ts'
import type { RefusedHit } from './validate-hits.ts'

/** What the collector tells about itself. Only this file knows the logger and the metrics. */
export interface Facts {
  /** A request to POST /v1/hits was answered. */
  answered(status: number): void
  /** Nobody foresaw the error. */
  requestFailed(error: unknown): void
  hitsAccepted(count: number): void
  hitsRefused(refused: readonly Pick<RefusedHit, 'code'>[]): void
  /** Hits that the settings of their site leave out. */
  hitsIgnored(ignored: readonly IgnoredHit[]): void
  /** A request of an address that had sent too many hits was not looked at. */
  addressLimited(): void
  /** A request to GET /v1/pixel.gif was answered. */
  pixelAnswered(): void
  /** Unknown fields of beacons that were left out. */
  fieldsIgnored(count: number): void
  appended(hits: number, durationMs: number): void
  appendFailed(error: unknown, retried: boolean): void
  /** Whether the log took the last batch in time. */
  logAnswers(answers: boolean): void
  inFlightBytes(bytes: number): void
  /** Lines that wait for the turn of their site. */
  queuedBytes(bytes: number): void
  /** From now on there is a spool, of which one asks: a log that does not answer makes nobody unready any more. */
  watchSpool(state: () => SpoolState): void
  /** What the start found in the spool. */
  spoolFound(found: SpoolFound): void
  /** The first hits wait in the spool; nothing waits there any more. */
  spoolBegins(): void
  spoolEnds(): void
  /** Hits became durable in the spool. */
  spooled(hits: number): void
  spoolFailed(error: unknown): void
  /** Nothing was spooled since, but it could be. */
  spoolRecovered(): void
  /** Hits went from the spool to the log; others were there already. */
  drained(hits: number, leftOut: number): void
  drainFailed(error: unknown): void
}

interface SpoolState {
  /** Size of the files. */
  readonly bytes: number
  /** Age of the oldest hit in milliseconds; 0 = empty. */
  readonly oldestMs: number
  readonly problem: string | null
}

/** Counts into plain numbers, which the registry reads when it is asked: a labelled counter costs more than a hit may. */
class Tally {
  readonly #counts = new Map<string, number>()

  constructor(registry: Registry, name: string, help: string, label: string) {
    const counts = this.#counts
    new Counter({
      name,
      help,
      labelNames: [label],
      registers: [registry],
      collect() {
        this.reset()
        for (const [value, count] of counts) this.inc({ [label]: value }, count)
      },
    })
  }

  add(value: string, count = 1): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + count)
  }
}

const LATENCY_BUCKETS_S = [0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const BATCH_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000]

/** The collector's metrics (`millrace_collector_*`), log lines, and the readiness part `log`. */
export function createFacts(registry: Registry, logger: Logger, readiness: Readiness): Facts {
  const requests = new Tally(registry, 'millrace_collector_requests_total', 'Answered requests to /v1/hits', 'class')
  const refused = new Tally(
    registry,
    'millrace_collector_hits_refused_total',
    'Hits not accepted, by error code',
    'code',
  )
  const registers = [registry]
  let accepted = 0
  new Counter({
    name: 'millrace_collector_hits_accepted_total',
    help: 'Hits answered with 202',
    registers,
    collect() {
      this.reset()
      this.inc(accepted)
    },
  })
  const ignoredHits = new Tally(
    registry,
    'millrace_collector_hits_ignored_total',
    'Hits left out by the settings of their site, by reason',
    'reason',
  )
  const limited = counter(
    'millrace_collector_address_limited_total',
    'Requests refused because their address had sent too many hits',
  )
  const pixels = counter('millrace_collector_pixels_total', 'Answered requests to /v1/pixel.gif')
  const ignored = counter('millrace_collector_fields_ignored_total', 'Unknown fields left out of beacons')
  const failures = counter(
    'millrace_collector_append_failures_total',
    'Appends to the log that failed, repetitions too',
  )
  const latency = new Histogram({
    name: 'millrace_collector_append_seconds',
    help: 'Time until the log had a batch',
    buckets: LATENCY_BUCKETS_S,
    registers,
  })
  const batchHits = new Histogram({
    name: 'millrace_collector_append_hits',
    help: 'Hits in an append',
    buckets: BATCH_BUCKETS,
    registers,
  })
  let inFlight = 0
  new Gauge({
    name: 'millrace_collector_in_flight_bytes',
    help: 'Lines that wait for the log',
    registers,
    collect() {
      this.set(inFlight)
    },
  })
  let queued = 0
  new Gauge({
    name: 'millrace_collector_queued_bytes',
    help: 'Lines that wait for the turn of their site, because the log takes less than comes in',
    registers,
    collect() {
      this.set(queued)
    },
  })
  let logAnswers = true
  let hasSpool = false

  function counter(name: string, help: string): Counter {
    return new Counter({ name, help, registers: [registry] })
  }
  return {
    answered: (status) => requests.add(CLASSES[Math.trunc(status / 100)] ?? 'other'),
    requestFailed: (error) => logger.error({ err: error, route: '/v1/hits' }, 'request failed'),
    hitsAccepted: (count) => {
      accepted += count
    },
    hitsRefused: (list) => {
      for (const { code } of list) refused.add(code satisfies ErrorCode)
    },
    hitsIgnored: (list) => {
      for (const { reason } of list) ignoredHits.add(reason)
    },
    addressLimited: () => limited.inc(),
    pixelAnswered: () => pixels.inc(),
    fieldsIgnored: (count) => ignored.inc(count),
    appended: (hits, durationMs) => {
      latency.observe(durationMs / 1000)
      batchHits.observe(hits)
    },
    appendFailed: (error, retried) => {
      failures.inc()
      logger.warn({ err: error, retried }, 'append failed')
    },
    logAnswers: (answers) => {
      if (answers === logAnswers || hasSpool) return
      logAnswers = answers
      readiness.set('log', answers ? null : 'does not take hits')
      if (answers) logger.info('the log takes hits again')
      else logger.error('the log does not take hits')
    },
    inFlightBytes: (bytes) => {
      inFlight = bytes
    },
    queuedBytes: (bytes) => {
      queued = bytes
    },
    ...createSpoolFacts(registry, logger, readiness, () => {
      hasSpool = true
    }),
  }
}

type SpoolFact =
  | 'watchSpool'
  | 'spoolFound'
  | 'spoolBegins'
  | 'spoolEnds'
  | 'spooled'
  | 'spoolFailed'
  | 'spoolRecovered'
  | 'drained'
  | 'drainFailed'

/** The spool's part of it, and the readiness part `spool`. */
function createSpoolFacts(
  registry: Registry,
  logger: Logger,
  readiness: Readiness,
  onSpool: () => void,
): Pick<Facts, SpoolFact> {
  const registers = [registry]
  let state = (): SpoolState => ({ bytes: 0, oldestMs: 0, problem: null })
  new Gauge({
    name: 'millrace_collector_spool_bytes',
    help: "Size of the spool's files",
    registers,
    collect() {
      this.set(state().bytes)
    },
  })
  new Gauge({
    name: 'millrace_collector_spool_oldest_seconds',
    help: 'How long the oldest hit has waited in the spool; 0 = none waits',
    registers,
    collect() {
      this.set(state().oldestMs / 1000)
    },
  })
  const counter = (name: string, help: string): Counter => new Counter({ name, help, registers })
  const spooled = counter('millrace_collector_spooled_hits_total', 'Hits written to the spool')
  const drained = counter('millrace_collector_spool_drained_hits_total', 'Hits that went from the spool to the log')
  const leftOut = counter(
    'millrace_collector_spool_left_out_hits_total',
    'Hits of the spool that were found in the log already',
  )
  const failures = counter('millrace_collector_spool_failures_total', 'Writes to the spool that failed')
  /** Said once, until it works again: a full disk fails many times a second. */
  let writeFails = false
  let drainFails = false
  return {
    watchSpool: (ask) => {
      state = ask
      onSpool()
      readiness.watch('spool', async () => ask().problem)
    },
    spoolFound: ({ segments, bytes, hits, oldest, cutBytes }) => {
      if (cutBytes > 0) logger.warn({ cutBytes }, 'the end of the spool was not whole and is cut off')
      if (hits > 0) {
        const since = oldest === null ? undefined : new Date(oldest).toISOString()
        logger.info(
          { segments, bytes, hits, since },
          'the spool holds hits of an earlier run: they go to the log first',
        )
      }
    },
    spoolBegins: () => logger.warn('the log does not take hits in time: they wait in the spool'),
    spoolEnds: () => logger.info('the spool is empty: hits go to the log again'),
    spooled: (hits) => {
      writeFails = false
      spooled.inc(hits)
    },
    spoolRecovered: () => {
      writeFails = false
      logger.info('the spool can be written again')
    },
    spoolFailed: (error) => {
      failures.inc()
      if (!writeFails) logger.error({ err: error }, 'the spool cannot be written')
      writeFails = true
    },
    drained: (hits, found) => {
      drainFails = false
      drained.inc(hits)
      leftOut.inc(found)
      if (found > 0) logger.info({ hits: found }, 'hits of the spool were in the log already and are left out')
    },
    drainFailed: (error) => {
      if (error instanceof AppendRefused) logger.error({ err: error }, 'the log refuses hits of the spool')
      else if (!drainFails) logger.warn({ err: error }, 'the spool cannot be brought into the log')
      drainFails = true
    },
  }
}

const CLASSES = ['other', '1xx', '2xx', '3xx', '4xx', '5xx']
