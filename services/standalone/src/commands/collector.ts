import { join } from 'node:path'
import { rememberLog, remembers, startCollector } from '@millrace/collector'
import { openConfig } from '../open-config.ts'
import { endProcess, type RunningService, runService, type ServiceParts } from '../run-service.ts'
import { COLLECTOR_COMMAND, serviceSettingsFrom, spoolDirOf } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace collector

Takes hits over HTTP and answers 202 when they are durable: on Kafka, or while Kafka does not take them in the spool in
MILLRACE_DATA_DIR, a folder of this collector alone. A collector that has run before also starts while Kafka is away. Run as many as you like behind a load balancer that checks /readyz.

${settingsHelp(COLLECTOR_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('collector', COLLECTOR_COMMAND, process.env)
    const spoolDir = spoolDirOf(settings)
    const file = join(spoolDir, 'remembered.json')
    const start = async ({ log: kafka, server, reach }: ServiceParts): Promise<RunningService> => {
      const log = await rememberLog(kafka, { file, onFailure: endProcess })
      const config = await openConfig(log, { reach, logger: server.logger })
      server.readiness.watch('config', async () => config.problem())
      const collector = await startCollector({ log, config, server, settings, spoolDir })
      return { stop: () => collector.close(), release: () => config.close() }
    }
    // Once it knows its topics, a collector starts without Kafka: its spool takes the hits.
    await runService('collector', settings, start, { logMayBeAway: remembers(file) })
  },
}
