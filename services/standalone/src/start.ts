import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerQueryApi } from '@millrace/aggregator'
import { startCollector } from '@millrace/collector'
import type { EmbeddedLog, EventLog } from '@millrace/log'
import { createLogger, createServer, type Logger, requireKey } from '@millrace/server'
import type { Store } from '@millrace/store'
import { ensureTopics, openEmbedded, openKafka } from './open-log.ts'
import { openMigratedStore } from './open-store.ts'
import { type Pipeline, startPipeline } from './pipeline-client.ts'
import { AT_ONCE, type Reach } from './reach.ts'
import { type StandaloneSettings, spoolDirOf } from './settings.ts'
import { VERSION } from './version.ts'
import { whileWaiting } from './while-waiting.ts'

/** How long a graceful stop waits until what was accepted is in the store; what is left is done at the next start. */
const DRAIN_MS = 10_000
const DRAIN_POLL_MS = 50

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
  readonly store: Store
  readonly pipeline: Pipeline
}

/**
 * All of Millrace in this process: main thread for HTTP, one thread that writes the log, one that enriches and inserts.
 * `onFailure` is called when a thread dies: nothing is lost, and a restart recovers.
 */
export async function startStandalone(
  given: StandaloneSettings,
  onFailure: (error: Error) => void,
): Promise<Standalone> {
  const settings = { ...given, MILLRACE_DATA_DIR: resolve(given.MILLRACE_DATA_DIR) }
  const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'millrace')
  await mkdir(settings.MILLRACE_DATA_DIR, { recursive: true })

  const options = { host: settings.MILLRACE_HOST, port: settings.MILLRACE_PORT, name: 'standalone', logger }
  const open = (reach: Reach): Promise<Parts> => openParts(settings, reach, logger, onFailure)
  const parts = await (isLocal(settings) ? open(AT_ONCE) : whileWaiting(options, open))
  const { log, embedded, store, pipeline } = parts

  const server = createServer({ ...options, extraMetrics: [() => pipeline.metrics()] })
  if (settings.MILLRACE_ADMIN_KEY) requireKey(server.app, settings.MILLRACE_ADMIN_KEY, ['/v1/query'])
  server.readiness.watch('pipeline', () => pipeline.problem())
  const collector = await startCollector({ log, server, settings, spoolDir: spoolDirOf(settings) })
  registerQueryApi({ server, store, settings, completeUntil: () => pipeline.completeUntil() })
  const url = await server.listen()
  if (embedded) releaseRetention(embedded, pipeline).catch(onFailure)

  return {
    url,
    places: placesOf(settings),
    async close() {
      await collector.close()
      await server.close()
      await drained(pipeline, Date.now(), DRAIN_MS)
      await pipeline.close()
      await store.close()
      await log.close()
    },
  }
}

type Where = Pick<StandaloneSettings, 'MILLRACE_LOG' | 'MILLRACE_CLICKHOUSE_URL' | 'MILLRACE_DATA_DIR'>

const isLocal = ({ MILLRACE_LOG, MILLRACE_CLICKHOUSE_URL }: Where): boolean =>
  MILLRACE_LOG === 'embedded' && MILLRACE_CLICKHOUSE_URL === ''

async function openParts(
  settings: StandaloneSettings,
  reach: Reach,
  logger: Logger,
  onFailure: (error: Error) => void,
): Promise<Parts> {
  const logParts = { reach, logger, onFailure }
  const embedded = settings.MILLRACE_LOG === 'embedded' ? await openEmbedded(settings, logParts) : null
  const log = embedded ?? (await openKafka(settings, logParts))
  if (!embedded) await ensureTopics(log, settings, reach)
  // Before the pipeline's: the main thread has to load the embedded engine first.
  const { store } = await openMigratedStore(settings, 'read', reach)
  const { MILLRACE_TRUSTED_PROXIES: _, ...pipelineSettings } = settings
  const input = { settings: pipelineSettings, logPort: embedded?.port() ?? null, build: VERSION }
  return { log, embedded, store, pipeline: await startPipeline(input, onFailure) }
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
