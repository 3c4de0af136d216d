import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  acceptClickHouseCredentials,
  GUARDED_ROUTES,
  registerAdminApi,
  registerLedgerApi,
  registerQueryApi,
  registerRebuildApi,
  startSql,
} from '@millrace/aggregator'
import { startCollector } from '@millrace/collector'
import { type ConfigBook, openConfigWriter } from '@millrace/config'
import type { EmbeddedLog, EventLog } from '@millrace/log'
import { createLogger, createServer, type Logger, requireKey, serveReference } from '@millrace/server'
import type { Store } from '@millrace/store'
import { assertRestored } from './backup/restore-backup.ts'
import { followBacklog } from './follow-backlog.ts'
import { ensureInstallation, openConfig } from './open-config.ts'
import { ensureTopics, openEmbedded, openKafka } from './open-log.ts'
import { openMigratedStore } from './open-store.ts'
import { OPERATOR_ROUTES, registerOperatorApi } from './operate/register-operator-api.ts'
import { latenessOf, paceAnswers } from './pace-answers.ts'
import { type Pipeline, startPipeline } from './pipeline-client.ts'
import { AT_ONCE, type Reach } from './reach.ts'
import { isLoopback, type StandaloneSettings, spoolDirOf } from './settings.ts'
import { clockFrom, forThread } from './threads.ts'
import { openVerifier } from './verify/verify-client.ts'
import { VERSION } from './version.ts'
import { whileWaiting } from './while-waiting.ts'

/** How long a graceful stop waits until what was accepted is in the store; what is left is done at the next start. */
const DRAIN_MS = 10_000
const DRAIN_POLL_MS = 50
/** The embedded log lies beside the spool: when it is slow for a moment, the detour would cost more than it saves. */
const SPOOL_AFTER_MS = 2_000
/** Site of hits that name none: there from the first start on where only this machine can send. */
const FIRST_SITE = 'default'

export interface Standalone {
  readonly url: string
  /** Where the data are, for people. */
  readonly places: string
  close(): Promise<void>
}

/** What the HTTP side works with. */
interface Parts {
  readonly log: EventLog
  /** The same log, when it is the embedded one. */
  readonly embedded: EmbeddedLog | null
  readonly config: ConfigBook
  readonly store: Store
  readonly pipeline: Pipeline
}

/** Time that can be moved, for tests: what the log, the services and the salts take for now. */
export interface MovableTime {
  /** One float in shared memory, epoch ms; 0 = the system's clock. */
  readonly clock: Float64Array<SharedArrayBuffer>
  /** How often the log expires and compacts. */
  readonly maintenanceMs: number
}

/**
 * All of Millrace in this process: main thread for HTTP, one thread that writes the log, one that enriches and inserts.
 * `onFailure` is called when a thread dies: nothing is lost, and a restart recovers.
 */
export async function startStandalone(
  given: StandaloneSettings,
  onFailure: (error: Error) => void,
  time?: MovableTime,
): Promise<Standalone> {
  const settings = { ...given, MILLRACE_DATA_DIR: resolve(given.MILLRACE_DATA_DIR) }
  const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'millrace')
  await mkdir(settings.MILLRACE_DATA_DIR, { recursive: true })
  assertRestored(settings.MILLRACE_DATA_DIR)

  const options = { host: settings.MILLRACE_HOST, port: settings.MILLRACE_PORT, name: 'standalone', logger }
  const open = (reach: Reach): Promise<Parts> => openParts(settings, { reach, logger, onFailure }, time)
  const parts = await (isLocal(settings) ? open(AT_ONCE) : whileWaiting(options, open))
  const { log, embedded, config, store, pipeline } = parts
  const clock = clockFrom(time?.clock.buffer ?? null)

  const server = createServer({ ...options, extraMetrics: [() => pipeline.metrics()] })
  const keyOf = (text: string) => config.keyOf(text)
  const keys = { adminKey: settings.MILLRACE_ADMIN_KEY, keyOf }
  acceptClickHouseCredentials(server.app, '/clickhouse')
  requireKey(server.app, { ...keys, needs: { ...GUARDED_ROUTES, ...OPERATOR_ROUTES } })
  server.readiness.watch('pipeline', () => pipeline.problem())
  server.notices.set('geo', () => pipeline.geoNotice())
  server.readiness.watch('config', async () => config.problem())
  const backlog = embedded && followBacklog(embedded, server, logger, settings.MILLRACE_BACKLOG_MAX_MB)
  const isFull = (): boolean => backlog?.isFull() ?? false
  const completeUntil = () => pipeline.completeUntil()
  let holdBackMs = (): number => 0
  const collector = await startCollector({
    log,
    config,
    server,
    settings,
    clock,
    isFull,
    holdBackMs: () => holdBackMs(),
    ...(embedded && { limits: { spoolAfterMs: SPOOL_AFTER_MS } }),
    spoolDir: spoolDirOf(settings),
  })
  const reportsBehindMs = async (): Promise<number> => clock() - (await completeUntil())
  const pace = backlog && paceAnswers(latenessOf({ backlog, spool: collector, reportsBehindMs }), server)
  if (pace) holdBackMs = pace.holdBackMs
  registerQueryApi({ server, store, config, settings, clock, completeUntil })
  registerLedgerApi({ server, store, log, clock, completeUntil })
  const sql = await startSql({ server, settings, keys })
  const writer = openConfigWriter(log, config, clock)
  registerAdminApi({ server, config, writer })
  const rebuilds = registerRebuildApi({ server, store, config, settings, clock, completeUntil })
  const folders = { dataDir: settings.MILLRACE_DATA_DIR, spoolDir: spoolDirOf(settings) }
  const backup = isLocal(settings) ? { ...folders, completeUntil, hold: () => pipeline.hold() } : null
  const verifier = openVerifier(forThread(settings), () => embedded?.port() ?? null, onFailure)
  registerOperatorApi({ server, log, store, config, writer, verifier, backup })
  serveReference(server.app, VERSION)
  const url = await server.listen()
  if (embedded) releaseRetention(embedded, pipeline).catch(onFailure)

  return {
    url,
    places: placesOf(settings),
    async close() {
      await collector.close()
      pace?.close()
      backlog?.close()
      await server.close()
      await verifier.idle()
      await sql.close()
      await rebuilds.close()
      await writer.close()
      await drained(pipeline, Date.now(), DRAIN_MS)
      await pipeline.close()
      await store.close()
      await config.close()
      await log.close()
    },
  }
}

type Where = Pick<StandaloneSettings, 'MILLRACE_LOG' | 'MILLRACE_CLICKHOUSE_URL' | 'MILLRACE_DATA_DIR'>

const isLocal = ({ MILLRACE_LOG, MILLRACE_CLICKHOUSE_URL }: Where): boolean =>
  MILLRACE_LOG === 'embedded' && MILLRACE_CLICKHOUSE_URL === ''

interface OpeningParts {
  readonly reach: Reach
  readonly logger: Logger
  readonly onFailure: (error: Error) => void
}

async function openParts(
  settings: StandaloneSettings,
  { reach, logger, onFailure }: OpeningParts,
  time: MovableTime | undefined,
): Promise<Parts> {
  const logParts = { reach, logger, onFailure }
  const embedded = settings.MILLRACE_LOG === 'embedded' ? await openEmbedded(settings, logParts, time) : null
  const log = embedded ?? (await openKafka(settings, logParts))
  if (!embedded) await ensureTopics(log, settings, reach)
  const config = await openConfig(log, { reach, logger })
  await ensureInstallation(log, config, reach, isLoopback(settings.MILLRACE_HOST) ? [FIRST_SITE] : [])
  // Before the pipeline's: the main thread has to load the embedded engine first.
  const { store } = await openMigratedStore(settings, 'read', reach)
  const input = {
    settings: forThread(settings),
    logPort: embedded?.port() ?? null,
    build: VERSION,
    clock: time?.clock.buffer ?? null,
  }
  return { log, embedded, config, store, pipeline: await startPipeline(input, onFailure) }
}

function placesOf(settings: Where): string {
  const places = [
    settings.MILLRACE_LOG === 'kafka' && 'the log on Kafka',
    settings.MILLRACE_CLICKHOUSE_URL !== '' && 'tables in ClickHouse',
    `${isLocal(settings) ? 'data' : 'the rest'} in ${settings.MILLRACE_DATA_DIR}`,
  ]
  return places.filter((place) => place !== false).join(', ')
}

/** Nothing expires before the enricher has caught up with what was there at the start. */
async function releaseRetention(log: EmbeddedLog, pipeline: Pipeline): Promise<void> {
  if (await drained(pipeline, Date.now(), Number.POSITIVE_INFINITY)) await log.releaseRetention()
}

/** Waits until every hit that was in the log at `timeMs` is in the store; false when `patienceMs` or the pipeline ended before. */
async function drained(pipeline: Pipeline, timeMs: number, patienceMs: number): Promise<boolean> {
  const deadline = Date.now() + patienceMs
  while (!pipeline.closed) {
    if ((await pipeline.completeUntil()) >= timeMs) return true
    if (Date.now() > deadline) return false
    await sleep(DRAIN_POLL_MS)
  }
  return false
}
