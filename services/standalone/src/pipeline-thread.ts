/** The thread that enriches and inserts: beside the HTTP thread, so that neither waits for the other. */
import { parentPort, workerData } from 'node:worker_threads'
import { startAggregator } from '@millrace/aggregator'
import { ENRICHER_SETTINGS, startEnricher } from '@millrace/enricher'
import { attachEmbeddedLog } from '@millrace/log'
import { createLogger, Registry } from '@millrace/server'
import { openStore } from '@millrace/store'
import { openConfig } from './open-config.ts'
import { openKafka } from './open-log.ts'
import { AT_ONCE } from './reach.ts'
import { asideDirOf, settingsFrom } from './settings.ts'
import { clockFrom, type PipelineInput, type PipelineReply, type PipelineRequest } from './threads.ts'

const { settings: cloned, logPort, build, clock: shared } = workerData as PipelineInput
const { MILLRACE_DATACENTER_NETWORKS } = ENRICHER_SETTINGS
const settings = { ...cloned, ...settingsFrom({ MILLRACE_DATACENTER_NETWORKS }, process.env) }
const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'pipeline')
const registry = new Registry()
const clock = clockFrom(shared)

const log = logPort
  ? attachEmbeddedLog({ port: logPort, onNotice: ({ kind, text }) => logger.info({ kind }, text) })
  : await openKafka(settings, { reach: AT_ONCE, logger })
const store = await openStore({
  url: settings.MILLRACE_CLICKHOUSE_URL,
  cluster: settings.MILLRACE_CLICKHOUSE_CLUSTER,
  dataDir: settings.MILLRACE_DATA_DIR,
  role: 'write',
  onNotice: (text) => logger.warn(text),
})
const config = await openConfig(log, { reach: AT_ONCE, logger })
const asideDir = asideDirOf(settings)
const aggregator = await startAggregator({ log, store, settings, logger, registry })
// One thread does both: rows that nobody can take yet would cost the time that their insert needs.
const isCrowded = (): boolean => aggregator.isCrowded()
const enricher = await startEnricher({ log, config, settings, logger, registry, build, clock, asideDir, isCrowded })

/** Why some of the work stands still until a person has looked at it; null = nothing does. */
function problem(): string | null {
  const standing = [...enricher.problems()].map(([partition, reason]) => `enricher, partition ${partition}: ${reason}`)
  const writer = aggregator.problem()
  if (writer !== null) standing.push(`aggregator: ${writer}`)
  const unread = config.problem()
  if (unread !== null) standing.push(`config: ${unread}`)
  return standing.length > 0 ? standing.join('; ') : null
}

let held: { release(): void } | null = null

async function answer(ask: PipelineRequest['ask']): Promise<number | string | null> {
  if (ask === 'complete_until') return aggregator.completeUntil()
  if (ask === 'metrics') return registry.metrics()
  if (ask === 'problem') return problem()
  if (ask === 'geo_notice') return enricher.geo().attribution
  if (ask === 'hold') {
    held = await aggregator.hold()
    return null
  }
  if (ask === 'release') {
    held?.release()
    held = null
    return null
  }
  await enricher.close()
  await aggregator.close()
  await store.close()
  await config.close()
  await log.close()
  return null
}

const reply = (message: PipelineReply): void => parentPort!.postMessage(message)
parentPort!.on('message', ({ id, ask }: PipelineRequest) => {
  answer(ask).then(
    (value) => reply({ id, answer: value }),
    (error: unknown) => reply({ id, error: String(error) }),
  )
})
reply({ ready: true })
