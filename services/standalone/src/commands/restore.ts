import { createReadStream, statSync } from 'node:fs'
import { resolve } from 'node:path'
import { restoreBackup } from '../backup/restore-backup.ts'
import { OPERATOR_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

const PROGRESS_MS = 2_000
const { MILLRACE_DATA_DIR } = OPERATOR_COMMAND
const RESTORE_COMMAND = { MILLRACE_DATA_DIR }

export const command: Command = {
  help: `Usage: millrace restore FILE [--data-dir DIR]

Makes a data folder of a backup: DIR, or MILLRACE_DATA_DIR, which must be new or empty. Start Millrace on it afterwards; millrace
verify --data-dir DIR compares what is in it. Hits that were taken after the backup are not in it.

  --data-dir DIR    the folder
  --quiet           says nothing while it works

${settingsHelp(RESTORE_COMMAND)}`,
  words: ['FILE'],
  options: { 'data-dir': { type: 'string' }, quiet: { type: 'boolean' } },

  async run({ 'data-dir': dataDir, quiet }, [file, ...more]) {
    if (file === undefined || more.length > 0) throw new Error('say which backup: millrace restore FILE')
    const settings = settingsFrom(RESTORE_COMMAND, process.env)
    const dir = resolve((dataDir as string | undefined) ?? settings.MILLRACE_DATA_DIR)
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) throw new Error(`${file} is no file`)
    let done = 0
    const timer = setInterval(() => {
      if (!quiet) console.error(`restore: ${(done / 1e6).toFixed(1)} MB`)
    }, PROGRESS_MS)
    try {
      const from = createReadStream(file, { highWaterMark: 1 << 20 })
      const {
        hits,
        sessions,
        complete_until: until,
        build,
      } = await restoreBackup(from, dir, (bytes) => {
        done = bytes
      })
      console.log(
        `restored ${hits} hits and ${sessions} sessions to ${dir}: every hit accepted before ${until}, by version ${build}`,
      )
    } finally {
      clearInterval(timer)
    }
    process.exit(0) // what is left of the engine's threads must not keep the process
  },
}
