import { mkdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { registerQueryApi } from '@millrace/aggregator'
import { startCollector } from '@millrace/collector'
import { openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer, requireKey } from '@millrace/server'
import { TOPICS } from '@millrace/shared'
import { migrate, openStore } from '@millrace/store'
import { startPipeline } from './pipeline-client.ts'
import type { StandaloneSettings } from './settings.ts'
import { VERSION } from './version.ts'

/** How long a graceful stop waits until what was accepted is in the store; what is left is done at the next start. */
const DRAIN_MS = 10_000

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

  const log = await openEmbeddedLog({ dir: dataDir, logger })
  const admin = log.admin()
  await admin.ensureTopics(TOPICS, settings.MILLRACE_PARTITIONS)
  const store = await openStore({ url: settings.MILLRACE_CLICKHOUSE_URL, dataDir, role: 'read' })
  await migrate(store)
  const pipeline = await startPipeline(
    { settings: { ...settings, MILLRACE_DATA_DIR: dataDir }, logPort: log.port(), build: VERSION },
    onFailure,
  )

  const server = createServer({
    host: settings.MILLRACE_HOST,
    port: settings.MILLRACE_PORT,
    name: 'standalone',
    logger,
    extraMetrics: [() => pipeline.metrics()],
  })
  if (settings.MILLRACE_ADMIN_KEY) requireKey(server, settings.MILLRACE_ADMIN_KEY, ['/v1/query'])
  const collector = await startCollector({ log, server, settings })
  registerQueryApi({ server, store, settings, completeUntil: () => pipeline.completeUntil() })
  const url = await server.listen()

  return {
    url,
    dataDir,
    async close() {
      await collector.close()
      await server.close()
      await drained(() => pipeline.completeUntil())
      await pipeline.close()
      await store.close()
      await admin.close()
      await log.close()
    },
  }
}

/** Waits until every hit accepted before the call is in the store, or DRAIN_MS. */
async function drained(completeUntil: () => Promise<number>): Promise<void> {
  const stopped = Date.now()
  while (Date.now() < stopped + DRAIN_MS && (await completeUntil()) < stopped) await sleep(20)
}
