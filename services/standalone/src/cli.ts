#!/usr/bin/env node
// The main thread loads the engine first: otherwise the process crashes when it ends, because a worker loaded it.
import 'chdb'
import { parseArgs } from 'node:util'
import { onShutdown } from '@millrace/server'
import { DEMO_HELP, DEMO_OPTIONS, demoOptions, sendDemo } from './demo/send.ts'
import { STANDALONE_SETTINGS, standaloneSettings } from './settings.ts'
import { startStandalone } from './start.ts'
import { VERSION } from './version.ts'
import { welcome } from './welcome.ts'

const HELP = `Usage: millrace <command> [options]     (millrace ${VERSION})

  start    everything in one process: collector, enricher, aggregator, reports
  demo     sends a seeded, realistic stream of visitors to a running instance

  millrace <command> --help says more about a command.`

const START_HELP = `Usage: millrace start [--demo]     (npm start)

Runs all of Millrace in one process, with its data in one folder. Stop it with Ctrl+C or SIGTERM: what was accepted is
stored first. After a crash it recovers by itself at the next start.

  --demo    sends a stream of made-up visitors to it as well

Settings (environment):
${Object.entries(STANDALONE_SETTINGS)
  .map(([name, { description, shown }]) => `  ${name.padEnd(34)}${description} (${shown})`)
  .join('\n')}`

const COMMANDS: Record<string, (args: string[]) => Promise<void>> = { start, demo }

async function start(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { demo: { type: 'boolean' }, help: { type: 'boolean', short: 'h' } } })
  if (values.help) return console.log(START_HELP)
  // The demo's visitors come from this machine and say their addresses by X-Forwarded-For.
  const demoProxies = values.demo ? { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' } : {}
  const settings = standaloneSettings({ ...demoProxies, ...process.env })
  const standalone = await startStandalone(settings, (error) => {
    console.error(`millrace: ${error.message}; nothing accepted is lost, start it again`)
    process.exit(1)
  })
  onShutdown(() => standalone.close(), { deadlineMs: 30_000 })
  console.log(welcome(standalone.url, standalone.dataDir, settings.MILLRACE_ADMIN_KEY))
  if (values.demo) await sendDemo(demoOptions({ url: standalone.url }))
}

async function demo(args: string[]): Promise<void> {
  const { values } = parseArgs({ args, options: { ...DEMO_OPTIONS, help: { type: 'boolean', short: 'h' } } })
  if (values.help) return console.log(DEMO_HELP)
  await sendDemo(demoOptions(values))
}

const [name = 'help', ...args] = process.argv.slice(2)
try {
  if (name === 'help' || name === '--help' || name === '-h') console.log(HELP)
  else if (name === '--version') console.log(VERSION)
  else if (Object.hasOwn(COMMANDS, name)) await COMMANDS[name]!(args)
  else {
    console.error(`millrace: there is no command ${name}\n\n${HELP}`)
    process.exitCode = 2
  }
} catch (error) {
  const { message, stack } = error as Error
  console.error(`millrace: ${process.env.MILLRACE_LOG_LEVEL === 'debug' ? stack : message}`)
  process.exit(1)
}
