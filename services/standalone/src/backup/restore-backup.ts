import { createWriteStream, existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, normalize, resolve, sep } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { beginEpoch, openEmbeddedLog } from '@millrace/log'
import { CONFIG, TOPICS } from '@millrace/shared'
import { openStore } from '@millrace/store'
import {
  type BackupManifest,
  CLICKHOUSE,
  CONFIG_FILE,
  type ConfigRecords,
  decodeManifest,
  MANIFEST,
} from './manifest.ts'
import { readTar, type TarEntry } from './tar.ts'

/** Stands in a data folder while a backup is restored into it. */
const UNFINISHED = 'restore-unfinished'
const LOG = 'log'

/** @throws Error when a restore into the folder was interrupted: what is in it is not whole */
export function assertRestored(dataDir: string): void {
  if (existsSync(join(dataDir, UNFINISHED)))
    throw new Error(`a restore into ${dataDir} was interrupted: restore the backup again`)
}

/**
 * Makes a data folder of a backup. The log in it is new, and of the next epoch, so that no position of the old one speaks for
 * it. What a restore that failed or was interrupted has left in the folder goes first.
 * @throws Error when the folder holds something else, or the archive is no whole backup; the folder is then left unfinished
 */
export async function restoreBackup(
  from: Readable,
  dataDir: string,
  progress: (bytes: number) => void,
): Promise<BackupManifest> {
  mkdirSync(dataDir, { recursive: true, mode: 0o700 })
  if (existsSync(join(dataDir, UNFINISHED)))
    for (const name of [CLICKHOUSE, LOG]) rmSync(join(dataDir, name), { recursive: true, force: true })
  if (readdirSync(dataDir).some((name) => name !== UNFINISHED))
    throw new Error(`${dataDir} is not empty: restore into a new folder`)
  writeFileSync(join(dataDir, UNFINISHED), '', { mode: 0o600 })
  const { manifest, config } = await unpack(from, dataDir, progress)
  await makeLog(dataDir, manifest, config)
  await assertComplete(dataDir, manifest)
  rmSync(join(dataDir, UNFINISHED))
  return manifest
}

async function unpack(
  from: Readable,
  dataDir: string,
  progress: (bytes: number) => void,
): Promise<{ manifest: BackupManifest; config: ConfigRecords }> {
  let manifest: BackupManifest | null = null
  let config: ConfigRecords | null = null
  let bytes = 0
  for await (const entry of readTar(from)) {
    if (entry.name === MANIFEST) manifest = decodeManifest(await contentOf(entry))
    else if (entry.name === CONFIG_FILE) config = JSON.parse((await contentOf(entry)).toString()) as ConfigRecords
    else await unpackEntry(entry, dataDir)
    bytes += entry.size
    progress(bytes)
  }
  if (!manifest || !config) throw new Error('the backup is not whole: its end is missing')
  return { manifest, config }
}

const contentOf = async (entry: TarEntry): Promise<Buffer> =>
  Buffer.concat((await Readable.from(entry.content).toArray()) as Buffer[])

async function unpackEntry(entry: TarEntry, dataDir: string): Promise<void> {
  const root = join(resolve(dataDir), CLICKHOUSE)
  const path = resolve(dataDir, normalize(entry.name))
  assertInside(root, path, entry)
  if (entry.type === 'folder') {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return
  }
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  if (entry.type === 'link') {
    assertInside(root, resolve(dirname(path), entry.target), entry)
    symlinkSync(entry.target, path)
    return
  }
  await pipeline(Readable.from(entry.content), createWriteStream(path, { flags: 'wx', mode: 0o600, flush: true }))
}

/** An archive from somewhere else must not write beside the folder. */
function assertInside(root: string, path: string, { name }: TarEntry): void {
  if (path !== root && !path.startsWith(root + sep)) throw new Error(`the archive is no backup: ${name}`)
}

/** The engine finds in the folder what the backup says. @throws Error */
async function assertComplete(dataDir: string, { hits, sessions }: BackupManifest): Promise<void> {
  const store = await openStore({ dataDir, role: 'read' })
  try {
    const [found] = await store.query<{ hits: string; sessions: string }>(
      `SELECT (SELECT count() FROM millrace.hits) AS hits,
         (SELECT sum(sign) FROM millrace.sessions WHERE site != '') AS sessions`,
    )
    if (Number(found!.hits) !== hits || Number(found!.sessions) !== sessions)
      throw new Error(
        `${found!.hits} of ${hits} hits and ${found!.sessions} of ${sessions} sessions are there after the restore`,
      )
  } finally {
    await store.close()
  }
}

async function makeLog(dataDir: string, { epoch, partitions }: BackupManifest, config: ConfigRecords): Promise<void> {
  const dir = join(dataDir, LOG)
  beginEpoch(dir, epoch + 1)
  const log = await openEmbeddedLog({ dir, topics: TOPICS, hitPartitions: partitions, retentionHeld: true })
  try {
    const records = config.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value, 'base64') }))
    const producer = log.producer()
    if (records.length > 0) await producer.append(CONFIG.name, new Map([[0, records]]))
    await producer.close()
  } finally {
    await log.close()
  }
}
