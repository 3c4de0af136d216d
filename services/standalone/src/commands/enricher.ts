import { startEnricher } from '@millrace/enricher'
import { HITS_RAW } from '@millrace/shared'
import { ensureInstallation, openConfig } from '../open-config.ts'
import { answersInTime } from '../reach.ts'
import { runService } from '../run-service.ts'
import { asideDirOf, ENRICHER_COMMAND, serviceSettingsFrom } from '../settings.ts'
import { VERSION } from '../version.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace enricher

Makes one row of each raw hit: visitor, device, source, session. Those that run share the partitions of hits.raw; start
more of them, up to the number of partitions. Serves /livez, /readyz, /health and /metrics.

${settingsHelp(ENRICHER_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('enricher', ENRICHER_COMMAND, process.env)
    await runService('enricher', settings, async ({ log, server, reach }) => {
      const { logger, registry, readiness } = server
      const config = await openConfig(log, { reach, logger })
      await ensureInstallation(log, config, reach)
      readiness.watch('config', async () => config.problem())
      const enricher = await startEnricher({
        log,
        config,
        settings,
        logger,
        registry,
        build: VERSION,
        asideDir: asideDirOf(settings),
      })
      server.notices.set('geo', async () => enricher.geo().attribution)
      const admin = log.admin()
      readiness.watch(
        'log',
        answersInTime(() => admin.endOffsets(HITS_RAW.name)),
      )
      readiness.watch('enricher', async () => {
        const standing = [...enricher.problems()].map(([partition, reason]) => `partition ${partition}: ${reason}`)
        return standing.length > 0 ? standing.join('; ') : null
      })
      return { stop: () => enricher.close(), release: () => config.close() }
    })
  },
}
