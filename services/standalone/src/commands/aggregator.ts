import {
  acceptClickHouseCredentials,
  GUARDED_ROUTES,
  registerAdminApi,
  registerLedgerApi,
  registerQueryApi,
  registerRebuildApi,
  startAggregator,
  startSql,
} from '@millrace/aggregator'
import { openConfigWriter } from '@millrace/config'
import { requireKey } from '@millrace/server'
import { HITS_ENRICHED } from '@millrace/shared'
import { StoreUnavailable } from '@millrace/store'
import { openConfig } from '../open-config.ts'
import { openMigratedStore } from '../open-store.ts'
import { answersInTime } from '../reach.ts'
import { runService } from '../run-service.ts'
import { AGGREGATOR_COMMAND, serviceSettingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace aggregator

Writes enriched hits into ClickHouse, each once, answers reports (/v1/query), and takes changes of sites, goals and keys
(/v1/sites, /v1/keys). Brings the schema up to date at its start. Those that run share the partitions of hits.enriched; each
answers reports about all of them.

${settingsHelp(AGGREGATOR_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('aggregator', AGGREGATOR_COMMAND, process.env)
    await runService('aggregator', settings, async ({ log, server, reach }) => {
      const { app, logger, registry, readiness } = server
      const config = await openConfig(log, { reach, logger })
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
      readiness.watch('config', async () => config.problem())
      const keyOf = (text: string) => config.keyOf(text)
      const keys = { adminKey: settings.MILLRACE_ADMIN_KEY, keyOf }
      acceptClickHouseCredentials(app, '/clickhouse')
      requireKey(app, { ...keys, needs: GUARDED_ROUTES })
      registerQueryApi({ server, store, config, settings, completeUntil: () => writer.completeUntil() })
      registerLedgerApi({ server, store, log, completeUntil: () => writer.completeUntil() })
      // It asks ClickHouse, which may have gone again, before it does anything else.
      const startConsole = () => startSql({ server, settings, keys })
      const sql = await reach('sql', startConsole, (error) => error instanceof StoreUnavailable)
      const configWriter = openConfigWriter(log, config)
      registerAdminApi({ server, config, writer: configWriter })
      const completeUntil = () => writer.completeUntil()
      const rebuilds = registerRebuildApi({ server, store, config, settings, completeUntil })
      return {
        stop: () => writer.close(),
        async release() {
          await sql.close()
          await rebuilds.close()
          await configWriter.close()
          await config.close()
          await store.close()
        },
      }
    })
  },
}
