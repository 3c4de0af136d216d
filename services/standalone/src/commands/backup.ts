import { existsSync, renameSync, rmSync, statSync, type WriteStream } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { finished, pipeline } from 'node:stream/promises'
import { uncountedPartition } from '../admin/counted.ts'
import { TarWriter } from '../backup/tar.ts'
import { prepareBackup, writeBackup } from '../backup/write-backup.ts'
import { openWhole } from '../operate/open-place.ts'
import { findInstance } from '../operate/running-instance.ts'
import { OPERATOR_COMMAND, type OperatorSettings, settingsFrom, spoolDirOf } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

const PROGRESS_MS = 2_000

export const command: Command = {
  help: `Usage: millrace backup FILE [options]

Writes a backup of a standalone installation into FILE, an archive for millrace restore; into a file with a name of its own if
FILE is a folder. The instance goes on meanwhile: hits are taken, and for a moment wait in the log. Every hit that was
accepted before the command began is in it, and none twice.

It holds hits, sessions, rollups, sites, goals, keys (as hashes) and the secret of the installation: keep it as you keep the data.
Addresses, user agents and salts are not in it: a visit that lasts over a restore counts as two, and a visitor of that day may.

Kafka and a ClickHouse server are backed up by their own tools: see docs/operations.md.

  --url URL         the instance
  --data-dir DIR    the folder of an instance that does not run
  --quiet           says nothing while it works

${settingsHelp(OPERATOR_COMMAND)}`,
  words: ['FILE'],
  options: { url: { type: 'string' }, 'data-dir': { type: 'string' }, quiet: { type: 'boolean' } },

  async run(values, [file, ...more]) {
    if (file === undefined || more.length > 0) throw new Error('say where to: millrace backup FILE')
    const settings = settingsFrom(OPERATOR_COMMAND, process.env)
    const path = pathOf(resolve(file))
    if (existsSync(path)) throw new Error(`${path} exists already: name another file`)
    const partial = `${path}.partial`
    const out = (await create(partial)).createWriteStream({ flush: true })
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => {
        rmSync(partial, { force: true })
        process.exit(1)
      })
    }
    try {
      await write(settings, values, out)
      renameSync(partial, path)
      console.log(`backup of ${megabytes(out.bytesWritten)} in ${path}`)
    } catch (error) {
      rmSync(partial, { force: true })
      // A file's error names the call that failed; what came over the network and ended early does not.
      const failed = out.errored as NodeJS.ErrnoException | null
      throw failed?.syscall ? notWritten(failed) : error
    }
    process.exit(0) // what is left of the engine's threads must not keep the process
  },
}

/** @throws Error when the file cannot be made, or is there already */
async function create(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx', 0o600)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST')
      throw new Error(`${path} exists: another backup is being written there, or was killed; remove it if none is`)
    throw notWritten(error as Error)
  }
}

const notWritten = ({ message }: Error): Error => new Error(`the backup cannot be written: ${message}`)

function pathOf(path: string): string {
  if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) return path
  return join(path, `millrace-${new Date().toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}.tar`)
}

const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`

async function write(settings: OperatorSettings, values: OptionValues, out: WriteStream): Promise<void> {
  const { url, 'data-dir': dataDir, quiet } = values as { url?: string; 'data-dir'?: string; quiet?: boolean }
  const tell = (text: string): void => {
    if (!quiet) console.error(`backup: ${text}`)
  }
  const timer = setInterval(() => tell(megabytes(out.bytesWritten)), PROGRESS_MS)
  try {
    const instance = await findInstance(settings, url, dataDir)
    if (instance) {
      tell(`asking ${instance.address}`)
      const response = await instance.ask('POST', '/v1/backup', {})
      tell(`about ${megabytes(Number(response.headers.get('x-backup-bytes')))}`)
      await pipeline(Readable.fromWeb(response.body! as Parameters<typeof Readable.fromWeb>[0]), out).catch(() => {
        throw new Error('the instance has gone before the backup was whole')
      })
    } else await writeOfFolder(settings, dataDir, out)
  } finally {
    clearInterval(timer)
    out.destroy()
  }
}

async function writeOfFolder(settings: OperatorSettings, dataDir: string | undefined, out: WriteStream): Promise<void> {
  if (settings.MILLRACE_LOG !== 'embedded' || settings.MILLRACE_CLICKHOUSE_URL !== '')
    throw new Error('only a standalone folder is backed up: Kafka and ClickHouse have tools of their own')
  const place = await openWhole(settings, dataDir)
  try {
    if ((await uncountedPartition(place.log)) !== null)
      throw new Error('some hits are not counted yet: start Millrace, and make the backup while it runs')
    const backup = await prepareBackup({
      ...place,
      spoolDir: spoolDirOf({ ...settings, MILLRACE_DATA_DIR: place.dataDir }),
      hold: async () => ({ release: () => undefined }),
      completeUntil: async () => Date.now(),
    })
    const archived = writeBackup(backup, new TarWriter(out)).finally(() => backup.release())
    await Promise.all([finished(out), archived.then(() => out.end())])
  } finally {
    await place.close()
  }
}
