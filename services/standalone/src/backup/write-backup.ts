/** A backup of a standalone installation, while it runs or not: what is counted, and the configuration. */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { isSpoolEmpty, isWhole, readConfigRecords } from '../admin/counted.ts'
import { VERSION } from '../version.ts'
import { CLICKHOUSE, CONFIG_FILE, encodeManifest, MANIFEST } from './manifest.ts'
import { type Snapshot, takeSnapshot, writeSnapshot } from './snapshot.ts'
import type { TarWriter } from './tar.ts'

/** How long the hits that were accepted before are waited for. */
const PATIENCE_MS = 60_000
const POLL_MS = 50

export interface BackupParts {
  readonly log: EventLog
  readonly store: Store
  readonly dataDir: string
  readonly spoolDir: string
  /** Lets the store stand still, see Writer.hold. */
  readonly hold: () => Promise<{ release(): void | Promise<void> }>
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
}

type Numbers = Readonly<Record<'epoch' | 'partitions' | 'hits' | 'sessions' | 'completeUntil', number>>

/** A moment of the installation, fixed until release(). */
export interface PreparedBackup {
  readonly snapshot: Snapshot
  readonly config: Buffer
  readonly numbers: Numbers
  release(): void
}

/**
 * Waits until every hit that was accepted before the call is counted, then fixes the state: for a moment nothing is
 * inserted, hits are taken all the while. No address, user agent or salt is part of it.
 * @throws Error when hits cannot be counted now, or days are being rebuilt
 */
export async function prepareBackup(parts: BackupParts): Promise<PreparedBackup> {
  const { log, store, dataDir } = parts
  await waitUntilCounted(parts, Date.now())
  const held = await parts.hold()
  try {
    if (!(await isWhole(store))) throw new Error('days are being rebuilt: make the backup when that is done')
    const snapshot = await takeSnapshot(store, join(dataDir, CLICKHOUSE))
    // A rebuild that began meanwhile is in the register before it changes anything.
    if (!(await isWhole(store))) {
      snapshot.release()
      throw new Error('days are being rebuilt: make the backup when that is done')
    }
    const records = (await readConfigRecords(log)).map(({ key, value }) => ({ key, value: value.toString('base64') }))
    const numbers = await readNumbers(parts)
    return { snapshot, numbers, config: Buffer.from(JSON.stringify(records)), release: () => snapshot.release() }
  } finally {
    await held.release()
  }
}

/** Writes what was prepared. @throws when the stream breaks; the archive is then not whole, and says so by missing its end */
export async function writeBackup(backup: PreparedBackup, tar: TarWriter): Promise<void> {
  const { snapshot, numbers, config } = backup
  await tar.bytes(CONFIG_FILE, config)
  await writeSnapshot(snapshot, tar, CLICKHOUSE)
  const { completeUntil, ...counts } = numbers
  const manifest = encodeManifest({
    build: VERSION,
    complete_until: new Date(completeUntil).toISOString(),
    ...counts,
    files: snapshot.items.filter(({ type }) => type === 'file').length,
    bytes: snapshot.bytes,
  })
  await tar.bytes(MANIFEST, manifest)
  await tar.end()
}

async function waitUntilCounted({ spoolDir, completeUntil }: BackupParts, since: number): Promise<void> {
  const deadline = since + PATIENCE_MS
  for (let after = since; ; ) {
    // What leaves the spool is in the log before the spool is empty: only then does a later time say that it is counted.
    if (!isSpoolEmpty(spoolDir)) after = Date.now() + 1
    else if ((await completeUntil()) >= after) return
    if (Date.now() > deadline)
      throw new Error(
        `hits that were accepted are not counted after ${PATIENCE_MS / 1_000} s: see /health, and try again`,
      )
    await sleep(POLL_MS)
  }
}

async function readNumbers({ log, store, completeUntil }: BackupParts): Promise<Numbers> {
  const [counted] = await store.query<{ hits: string; sessions: string; kp: number }>(
    `SELECT (SELECT count() FROM millrace.hits) AS hits, (SELECT max(kp) FROM millrace.hits) AS kp,
       (SELECT sum(sign) FROM millrace.sessions WHERE site != '') AS sessions`,
  )
  const admin = log.admin()
  const partitions = await admin.partitions(HITS_RAW.name)
  await admin.close()
  return {
    hits: Number(counted!.hits),
    sessions: Number(counted!.sessions),
    epoch: Math.max(await log.epoch(), Math.floor(counted!.kp / 4096)),
    partitions,
    completeUntil: await completeUntil(),
  }
}
