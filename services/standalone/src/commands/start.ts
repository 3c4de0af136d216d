import { onShutdown } from '@millrace/server'
import { demoOptions, sendDemo } from '../demo/send.ts'
import { endProcess } from '../run-service.ts'
import { STANDALONE_SETTINGS, settingsFrom } from '../settings.ts'
import { startStandalone } from '../start.ts'
import { welcome } from '../welcome.ts'
import { type Command, settingsHelp } from './command.ts'

const STOP_MS = 30_000

export const command: Command = {
  help: `Usage: millrace start [--demo]     (npm start)

Runs all of Millrace in one process, with its data in one folder. Stop it with Ctrl+C or SIGTERM: what was accepted is
stored first. After a crash it recovers by itself at the next start. With MILLRACE_LOG=kafka or a MILLRACE_CLICKHOUSE_URL
the topics or the tables are there instead.

  --demo    sends a stream of made-up visitors to it as well

${settingsHelp(STANDALONE_SETTINGS)}`,
  options: { demo: { type: 'boolean' } },

  async run({ demo }) {
    // The demo's visitors come from this machine and say their addresses by X-Forwarded-For.
    const demoProxies = demo ? { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' } : {}
    const settings = settingsFrom(STANDALONE_SETTINGS, { ...demoProxies, ...process.env })
    let close = async (): Promise<void> => undefined
    onShutdown(() => close(), { deadlineMs: STOP_MS })
    const standalone = await startStandalone(settings, endProcess)
    close = () => standalone.close()
    console.log(welcome(standalone.url, standalone.places, settings.MILLRACE_ADMIN_KEY))
    if (demo) await sendDemo(demoOptions({ url: standalone.url }))
  },
}
