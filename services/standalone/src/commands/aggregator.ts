import { registerQueryApi, startAggregator } from '@millrace/aggregator'
import { requireKey } from '@millrace/server'
import { HITS_ENRICHED } from '@millrace/shared'
import { openMigratedStore } from '../open-store.ts'
import { answersInTime } from '../reach.ts'
import { runService } from '../run-service.ts'
import { AGGREGATOR_COMMAND, serviceSettingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace aggregator

Writes enriched hits into ClickHouse, each once, and answers reports (/v1/query). Brings the schema up to date at its
start. Those that run share the partitions of hits.enriched; each answers reports about all of them.

${settingsHelp(AGGREGATOR_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('aggregator', AGGREGATOR_COMMAND, process.env)
    await runService('aggregator', settings, async ({ log, server, reach }) => {
      const { app, logger, registry, readiness } = server
      const { store } = await openMigratedStore(settings, 'all', reach)
      const writer = await startAggregator({ log, store, settings, logger, registry })
      const admin = log.admin()
      readiness.watch(
        'log',
        answersInTime(() => admin.endOffsets(HITS_ENRICHED.name)),
      )
      readiness.watch(
        'store',
        answersInTime(() => store.nowMs()),
      )
      readiness.watch('aggregator', async () => writer.problem())
      if (settings.MILLRACE_ADMIN_KEY) requireKey(app, settings.MILLRACE_ADMIN_KEY, ['/v1/query'])
      registerQueryApi({ server, store, settings, completeUntil: () => writer.completeUntil() })
      return { stop: () => writer.close(), release: () => store.close() }
    })
  },
}
