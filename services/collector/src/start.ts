import type { EventLog } from '@millrace/log'
import { describeRoutes, type Server } from '@millrace/server'
import { HITS_RAW } from '@millrace/shared'
import { Admission } from './admit.ts'
import { type BatchLimits, batchAppends, DEFAULT_LIMITS } from './batch-appends.ts'
import { createClientAddress } from './client-address.ts'
import { createFacts } from './facts.ts'
import { addHitsRoute } from './hits-route.ts'
import { HIT_OPERATIONS } from './operations.ts'
import { addPixelRoute } from './pixel-route.ts'
import { RateLimit } from './rate-limit.ts'
import type { CollectorSettings } from './settings.ts'
import { MAX_WAIT_MS, SHARE_ABOVE_BYTES, type ShareLimits, shareFairly } from './share-fairly.ts'
import { type DrainTempo, drainSpool } from './spool/drain-spool.ts'
import { openSpool } from './spool/open-spool.ts'
import type { SpoolLimits } from './spool/spool.ts'
import type { Intake } from './take-hits.ts'

export interface CollectorOptions {
  readonly log: EventLog
  /** Sites and keys. Not closed with the collector. */
  readonly config: Intake['config']
  /** Gets the routes; must not listen yet. */
  readonly server: Server
  readonly settings: CollectorSettings
  /**
   * Folder where hits wait that the log does not take, made if missing; of this collector alone, on a disk that stays.
   * Without it senders are told `log_unavailable` instead.
   */
  readonly spoolDir?: string
  /** Epoch milliseconds. */
  readonly clock?: () => number
  /** True = senders are told `overloaded`; default: never. */
  readonly isFull?: () => boolean
  /** Milliseconds for which the answers to durable hits are held back just now; default: 0. */
  readonly holdBackMs?: () => number
  readonly limits?: Partial<BatchLimits & Pick<ShareLimits, 'shareAboveBytes' | 'maxWaitMs'>>
  readonly spoolLimits?: Partial<SpoolLimits & DrainTempo>
}

export interface Collector {
  /** How long the oldest hit has waited in the spool, milliseconds; 0 = none waits there. */
  spoolAgeMs(): number
  /** Takes no more hits, makes durable what it took, answers it. Close the server after it. */
  close(): Promise<void>
}

/** When the collector is closed, how long the spool may go on into a log that takes it; the rest waits for the next start. */
const DRAIN_AT_CLOSE_MS = 2_000
/** An append that hangs holds nothing that is not in the spool. */
const PRODUCER_CLOSE_MS = 2_000

/**
 * Adds POST /v1/hits and GET /v1/pixel.gif to the server. A hit that was answered with 202 is in hits.raw, or in the spool and on its way there.
 * @throws Error when the topic does not exist, or another process has the spool's folder
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { log, config, server, settings, spoolDir, clock = Date.now, spoolLimits = {} } = options
  const limits = { ...DEFAULT_LIMITS, shareAboveBytes: SHARE_ABOVE_BYTES, maxWaitMs: MAX_WAIT_MS, ...options.limits }
  server.readiness.set('log', 'starting')
  const topic = HITS_RAW.name
  const admin = log.admin()
  const partitions = await admin.partitions(topic)
  await admin.close()

  const facts = createFacts(server.registry, server.logger, server.readiness)
  const producer = log.producer()
  const maxBytes = settings.MILLRACE_SPOOL_MAX_MB * 2 ** 20
  const opened =
    spoolDir === undefined
      ? null
      : await openSpool({ dir: spoolDir, partitions, maxBytes, limits: spoolLimits, clock, facts })
  const batches = batchAppends(producer, topic, limits, facts, opened?.spool)
  const sink = shareFairly(batches, limits, facts)
  const drain =
    opened &&
    drainSpool({
      spool: opened.spool,
      log,
      producer,
      topic,
      partitions,
      gate: batches,
      clock,
      facts,
      tempo: spoolLimits,
    })
  let closing = false
  const isClosing = (): boolean => closing
  const intake = {
    ...admissionOf(settings, config),
    sink,
    partitions,
    clock,
    facts,
    isClosing,
    isFull: options.isFull ?? (() => false),
    holdBackMs: options.holdBackMs ?? (() => 0),
  }
  addHitsRoute(server, intake)
  addPixelRoute(server.app, intake)
  describeRoutes(server.app, HIT_OPERATIONS)
  server.readiness.set('log', null)

  return {
    spoolAgeMs: () => opened?.spool.state.oldestMs ?? 0,
    async close() {
      closing = true
      server.readiness.set('collector', 'shutting down')
      await sink.close()
      await drain?.close(DRAIN_AT_CLOSE_MS)
      await opened?.close()
      await within(producer.close(), opened ? PRODUCER_CLOSE_MS : Number.POSITIVE_INFINITY)
    },
  }
}

/** What decides of a request and its hits. */
function admissionOf(
  settings: CollectorSettings,
  config: Intake['config'],
): Omit<Intake, 'sink' | 'partitions' | 'clock' | 'facts' | 'isClosing' | 'isFull' | 'holdBackMs'> {
  const { perSecond, everyAddress } = settings.MILLRACE_RATE_LIMIT_PER_ADDRESS
  const siteLimit = limitOf(settings.MILLRACE_RATE_LIMIT_PER_SITE)
  return {
    config,
    admission: new Admission({ config, siteLimit }),
    addressOf: createClientAddress(settings.MILLRACE_TRUSTED_PROXIES, settings.MILLRACE_CLIENT_ADDRESS_HEADER),
    addressLimit: limitOf(perSecond),
    limitsEveryAddress: everyAddress,
    siteLimit,
  }
}

const limitOf = (perSecond: number): RateLimit | null => (perSecond > 0 ? new RateLimit({ perSecond }) : null)

/** Waits, but not for ever. */
async function within(promise: Promise<void>, ms: number): Promise<void> {
  if (ms === Number.POSITIVE_INFINITY) return promise
  let timer: NodeJS.Timeout | undefined
  const timeout = new Promise<void>((done) => {
    timer = setTimeout(done, ms)
  })
  await Promise.race([promise, timeout])
  clearTimeout(timer)
}
