import { startCollector } from '@millrace/collector'
import { runService } from '../run-service.ts'
import { COLLECTOR_COMMAND, serviceSettingsFrom, spoolDirOf } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace collector

Takes hits over HTTP and answers 202 when they are durable: on Kafka, or while Kafka does not take them in the spool in
MILLRACE_DATA_DIR, a folder of this collector alone. Run as many as you like behind a load balancer that checks /readyz.

${settingsHelp(COLLECTOR_COMMAND)}`,

  async run() {
    const settings = serviceSettingsFrom('collector', COLLECTOR_COMMAND, process.env)
    await runService('collector', settings, async ({ log, server }) => {
      const collector = await startCollector({ log, server, settings, spoolDir: spoolDirOf(settings) })
      return { stop: () => collector.close() }
    })
  },
}
