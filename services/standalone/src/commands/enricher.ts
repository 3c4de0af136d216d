import { startEnricher } from '@millrace/enricher'
import { HITS_RAW } from '@millrace/shared'
import { answersInTime } from '../reach.ts'
import { runService } from '../run-service.ts'
import { ENRICHER_COMMAND, serviceSettingsFrom } from '../settings.ts'
import { VERSION } from '../version.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace enricher

Makes one row of each raw hit: visitor, device, source, session. Those that run share the partitions of hits.raw; start
more of them, up to the number of partitions. Serves /livez, /readyz, /health and /metrics.

${settingsHelp(ENRICHER_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('enricher', ENRICHER_COMMAND, process.env)
    await runService('enricher', settings, async ({ log, server }) => {
      const { logger, registry, readiness } = server
      const enricher = await startEnricher({ log, settings, logger, registry, build: VERSION })
      const admin = log.admin()
      readiness.watch(
        'log',
        answersInTime(() => admin.endOffsets(HITS_RAW.name)),
      )
      readiness.watch('enricher', async () => {
        const standing = [...enricher.problems()].map(([partition, reason]) => `partition ${partition}: ${reason}`)
        return standing.length > 0 ? standing.join('; ') : null
      })
      return { stop: () => enricher.close() }
    })
  },
}
