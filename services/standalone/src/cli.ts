#!/usr/bin/env node
import { parseArgs } from 'node:util'
import type { Command, OptionValues } from './commands/command.ts'
import { VERSION } from './version.ts'

/** Each loads only what it needs. */
const COMMANDS: Record<string, () => Promise<{ command: Command }>> = {
  start: () => import('./commands/start.ts'),
  collector: () => import('./commands/collector.ts'),
  enricher: () => import('./commands/enricher.ts'),
  aggregator: () => import('./commands/aggregator.ts'),
  migrate: () => import('./commands/migrate.ts'),
  topics: () => import('./commands/topics.ts'),
  site: () => import('./commands/site.ts'),
  key: () => import('./commands/key.ts'),
  goal: () => import('./commands/goal.ts'),
  rebuild: () => import('./commands/rebuild.ts'),
  delete: () => import('./commands/delete.ts'),
  geo: () => import('./commands/geo.ts'),
  export: () => import('./commands/export.ts'),
  import: () => import('./commands/import.ts'),
  verify: () => import('./commands/verify.ts'),
  tail: () => import('./commands/tail.ts'),
  backup: () => import('./commands/backup.ts'),
  restore: () => import('./commands/restore.ts'),
  resume: () => import('./commands/resume.ts'),
  demo: () => import('./commands/demo.ts'),
}

const HELP = `Usage: millrace <command> [options]     (millrace ${VERSION})

  start        everything in one process: collector, enricher, aggregator, reports

One service a process, on Apache Kafka and ClickHouse:
  collector    takes hits
  enricher     makes rows of them: visitor, device, source, session
  aggregator   writes the rows into ClickHouse and answers reports
  topics       makes the topics and shows them
  migrate      brings the schema of ClickHouse up to date

  site         adds, changes, lists and removes sites
  key          makes, lists and revokes keys
  goal         adds, lists and removes the conversion goals of a site
  rebuild      gives stored days a site's present time zone and retention
  delete       deletes the hits of a site that a filter chooses
  geo          downloads the geographical database

  verify       recounts and compares: log, hits, rollups, sessions
  tail         prints a topic as JSON lines
  backup       writes a backup of a running standalone instance
  restore      makes a data folder of a backup
  resume       goes on past records that are missing in the log

  export       writes the data of a standalone folder into another, to move them
  import       takes such a folder into Kafka and ClickHouse

  demo         sends a seeded, realistic stream of visitors to a running instance

  millrace <command> --help says more about a command.`

async function run(name: string, args: string[]): Promise<void> {
  const { command } = await COMMANDS[name]!()
  const options = { ...command.options, help: { type: 'boolean', short: 'h' } } as const
  const allowPositionals = command.words !== undefined
  const { values: given, positionals } = asHinted(name, () => parseArgs({ args, options, allowPositionals }))
  const { help, ...values } = given as OptionValues
  if (help) console.log(command.help)
  else await command.run(values, positionals)
}

/** What node says of a wrong option, without its hint for odd cases, and where to look. */
function asHinted<T>(name: string, parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    throw new Error(`${(error as Error).message.split('. ', 1)[0]} (millrace ${name} --help)`)
  }
}

const [name = 'help', ...args] = process.argv.slice(2)
try {
  if (name === 'help' || name === '--help' || name === '-h') console.log(HELP)
  else if (name === '--version') console.log(VERSION)
  else if (Object.hasOwn(COMMANDS, name)) await run(name, args)
  else {
    console.error(`millrace: there is no command ${name}\n\n${HELP}`)
    process.exitCode = 2
  }
} catch (error) {
  const { message, stack } = error as Error
  console.error(`millrace: ${process.env.MILLRACE_LOG_LEVEL === 'debug' ? stack : message}`)
  process.exit(1)
}
