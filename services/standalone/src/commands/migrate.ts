import { createLogger } from '@millrace/server'
import { openMigratedStore } from '../open-store.ts'
import { patiently } from '../reach.ts'
import { MIGRATE_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

/** How long one-time commands wait for other machines. */
export const PATIENCE_MS = 120_000

export const command: Command = {
  help: `Usage: millrace migrate

Brings the schema of ClickHouse up to date and ends. Waits up to two minutes until ClickHouse answers. Several at once do
no harm, and the aggregator does the same at its start.

${settingsHelp(MIGRATE_COMMAND)}`,

  async run() {
    const settings = settingsFrom(MIGRATE_COMMAND, process.env)
    const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'migrate', process.stderr)
    const { store, applied } = await openMigratedStore(settings, 'all', patiently({ logger, patienceMs: PATIENCE_MS }))
    await store.close()
    console.log(applied.length > 0 ? `applied migrations ${applied.join(', ')}` : 'the schema is up to date')
  },
}
