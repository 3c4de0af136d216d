import type { EventLog } from '@millrace/log'
import type { Server } from '@millrace/server'
import { HITS_RAW } from '@millrace/shared'
import { type BatchLimits, batchAppends, DEFAULT_LIMITS } from './batch-appends.ts'
import { createFacts } from './facts.ts'
import { addHitsRoute } from './hits-route.ts'
import type { CollectorSettings } from './settings.ts'

export interface CollectorOptions {
  readonly log: EventLog
  /** Gets the route; must not listen yet. */
  readonly server: Server
  readonly settings: CollectorSettings
  /** Epoch milliseconds. */
  readonly clock?: () => number
  readonly limits?: Partial<BatchLimits>
}

export interface Collector {
  /** Takes no more hits, makes durable what it took, answers it. Close the server after it. */
  close(): Promise<void>
}

/**
 * Adds POST /v1/hits to the server. A hit that was answered with 202 is in hits.raw.
 * @throws Error when the topic does not exist
 */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { log, server, settings, clock = Date.now, limits } = options
  server.readiness.set('log', 'starting')
  const admin = log.admin()
  const partitions = await admin.partitions(HITS_RAW.name)
  await admin.close()

  const facts = createFacts(server.registry, server.logger, server.readiness)
  const producer = log.producer()
  const sink = batchAppends(producer, HITS_RAW.name, { ...DEFAULT_LIMITS, ...limits }, facts)
  let closing = false
  addHitsRoute(server.app, {
    sink,
    trustedProxies: settings.MILLRACE_TRUSTED_PROXIES,
    partitions,
    clock,
    facts,
    isClosing: () => closing,
  })
  server.readiness.set('log', null)

  return {
    async close() {
      closing = true
      server.readiness.set('collector', 'shutting down')
      await sink.close()
      await producer.close()
    },
  }
}
