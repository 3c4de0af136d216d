import { mkdir } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerQueryApi } from '@millrace/aggregator'
import { startCollector } from '@millrace/collector'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer, requireKey } from '@millrace/server'
import { TOPICS } from '@millrace/shared'
import { migrate, openStore } from '@millrace/store'
import { type Pipeline, startPipeline } from './pipeline-client.ts'
import type { StandaloneSettings } from './settings.ts'
import { VERSION } from './version.ts'

/** How long a graceful stop waits until what was accepted is in the store; what is left is done at the next start. */
const DRAIN_MS = 10_000
const DRAIN_POLL_MS = 50

export interface Standalone {
  readonly url: string
  readonly dataDir: string
  close(): Promise<void>
}

/**
 * All of Millrace in this process: main thread for HTTP, one thread that writes the log, one that enriches and inserts.
 * `onFailure` is called when a thread dies: nothing is lost, and a restart recovers.
 */
export async function startStandalone(settings: StandaloneSettings, onFailure: (error: Error) => void): Promise<Standalone> {
  const dataDir = resolve(settings.MILLRACE_DATA_DIR)
  const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'millrace')
  await mkdir(dataDir, { recursive: true })

  const log = await openEmbeddedLog({
    dir: join(dataDir, 'log'),
    topics: TOPICS,
    hitPartitions: settings.MILLRACE_PARTITIONS,
    retentionHeld: true,
    onNotice: ({ kind, text }) => logger.info({ kind }, text),
    onFailure,
  })
  const store = await openStore({ url: settings.MILLRACE_CLICKHOUSE_URL, dataDir, role: 'read' })
  await migrate(store)
  const { MILLRACE_TRUSTED_PROXIES: _, ...pipelineSettings } = { ...settings, MILLRACE_DATA_DIR: dataDir }
  const pipeline = await startPipeline({ settings: pipelineSettings, logPort: log.port(), build: VERSION }, onFailure)

  const server = createServer({
    host: settings.MILLRACE_HOST,
    port: settings.MILLRACE_PORT,
    name: 'standalone',
    logger,
    extraMetrics: [() => pipeline.metrics()],
  })
  if (settings.MILLRACE_ADMIN_KEY) requireKey(server.app, settings.MILLRACE_ADMIN_KEY, ['/v1/query'])
  server.readiness.watch('pipeline', () => pipeline.problem())
  const collector = await startCollector({ log, server, settings })
  registerQueryApi({ server, store, settings, completeUntil: () => pipeline.completeUntil() })
  const url = await server.listen()
  releaseRetention(log, pipeline).catch(onFailure)

  return {
    url,
    dataDir,
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
