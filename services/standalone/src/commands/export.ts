import { randomUUID } from 'node:crypto'
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { type EventLog, replaceFile } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { SALTS } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { isSpoolEmpty, isWhole, readConfigRecords, recordsOf, uncountedPartition } from '../admin/counted.ts'
import { openEmbedded } from '../open-log.ts'
import { openMigratedStore } from '../open-store.ts'
import { AT_ONCE } from '../reach.ts'
import { MOVE_COMMAND, settingsFrom, spoolDirOf } from '../settings.ts'
import { VERSION } from '../version.ts'
import { type Command, settingsHelp } from './command.ts'
import { encodeManifest, type MovedChunk, type MovedTopics, manifestPath, TOPICS_FILE } from './moved-folder.ts'

const DAY_MS = 86_400_000
const STOP_FIRST = 'start Millrace once more, stop it with Ctrl+C or SIGTERM, and export again'

export const command: Command = {
  help: `Usage: millrace export --to FOLDER

Writes what a standalone folder holds into FOLDER, for millrace import: hits, sessions, sites, keys and the salts of
today. Millrace must be stopped, and have counted every hit that it took; nothing of its folder is changed. FOLDER then holds
secrets: remove it, and the old data, when the import is done.

  --to FOLDER    made if missing; must be empty

${settingsHelp(MOVE_COMMAND)}`,
  options: { to: { type: 'string' } },

  async run({ to }) {
    if (typeof to !== 'string') throw new Error('say where to: millrace export --to FOLDER')
    const settings = settingsFrom(MOVE_COMMAND, process.env)
    if (settings.MILLRACE_LOG !== 'embedded' || settings.MILLRACE_CLICKHOUSE_URL !== '')
      throw new Error(
        'only a standalone folder is exported: MILLRACE_LOG must be embedded, MILLRACE_CLICKHOUSE_URL empty',
      )
    const folder = resolve(to)
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    if (readdirSync(folder).length > 0) throw new Error(`${folder} is not empty`)
    assertSpoolEmpty(spoolDirOf(settings))
    const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'export', process.stderr)
    const log = await openEmbedded(settings, { reach: AT_ONCE, logger })
    const { store } = await openMigratedStore(settings, 'all', AT_ONCE)
    try {
      await assertCounted(log)
      await assertWhole(store)
      const { hits, sessions } = await exportTo(folder, log, store)
      console.log(`exported ${hits} hits and ${sessions} sessions to ${folder}`)
    } finally {
      await store.close()
      await log.close()
    }
  },
}

async function exportTo(folder: string, log: EventLog, store: Store): Promise<{ hits: number; sessions: number }> {
  const topics = { mode: 0o600 }
  writeFileSync(join(folder, TOPICS_FILE), `${JSON.stringify(await readTopics(log))}\n`, topics)
  const chunks = [
    ...(await exportTable(folder, store, 'hits_in')),
    ...(await exportTable(folder, store, 'sessions_in')),
  ]
  const rowsOf = (table: MovedChunk['table']): number =>
    chunks.filter((chunk) => chunk.table === table).reduce((sum, { rows }) => sum + rows, 0)
  const counts = { hits: rowsOf('hits_in'), sessions: rowsOf('sessions_in') }
  const epoch = Math.max(await log.epoch(), ...chunks.map(({ kp }) => Math.floor(kp / 4096)))
  const manifest = encodeManifest({ id: randomUUID(), build: VERSION, epoch, ...counts, chunks })
  replaceFile(manifestPath(folder), Buffer.from(manifest))
  return counts
}

/** Rows at a time: one insert of the import. */
const CHUNK_ROWS = 100_000

const SOURCES = {
  hits_in: 'SELECT * FROM millrace.hits',
  // Of each session its last state alone, as a first one: what it was before has been taken back.
  sessions_in: `SELECT * FROM millrace.sessions WHERE site != '' AND sign = 1 AND (site, day, session_id, version) IN (
    SELECT site, day, session_id, version FROM millrace.sessions WHERE site != ''
    GROUP BY site, day, session_id, version HAVING sum(sign) > 0)`,
} as const

async function exportTable(folder: string, store: Store, table: MovedChunk['table']): Promise<MovedChunk[]> {
  const rows = await store.query<{ kp: number; month: number; first: string; last: string; n: string }>(
    `SELECT kp, month, min(ko) AS first, max(ko) AS last, sum(n) AS n FROM (
       SELECT kp, month, ko, n, intDiv(sum(n) OVER (PARTITION BY kp, month ORDER BY ko) - 1, ${CHUNK_ROWS}) AS part
       FROM (SELECT kp, toYYYYMM(day) AS month, ko, count() AS n FROM (${SOURCES[table]}) GROUP BY kp, month, ko)
     ) GROUP BY kp, month, part ORDER BY kp, month, part`,
  )
  const chunks = rows.map(({ kp, month, first, last, n }) => ({
    file: `${table === 'hits_in' ? 'hits' : 'sessions'}-${month}-${kp}-${first}.native`,
    ...{ table, kp, month, rows: Number(n), koFrom: Number(first), koTo: Number(last) },
  }))
  for (const { file, kp, month, koFrom, koTo } of chunks) {
    const path = join(folder, file)
    await store.command(
      `INSERT INTO FUNCTION file({path:String}, 'Native') SELECT * FROM (${SOURCES[table]})
       WHERE kp = ${kp} AND toYYYYMM(day) = ${month} AND ko BETWEEN ${koFrom} AND ${koTo} ORDER BY ko`,
      { params: { path } },
    )
    chmodSync(path, 0o600)
  }
  return chunks
}

/** The configuration, and the salts that hits of today may need. */
async function readTopics(log: EventLog): Promise<MovedTopics> {
  const config = await readConfigRecords(log)
  const since = new Date(Date.now() - 2 * DAY_MS).toISOString().slice(0, 10)
  const salts = (await recordsOf(log, SALTS.name)).filter(({ key }) => (key?.toString() ?? '') >= since)
  return {
    config: config.map(({ key, value }) => ({ key, value: value.toString('base64') })),
    salts: salts.map(({ key, value, timestamp }) => ({
      key: key!.toString(),
      value: value!.toString('base64'),
      made_at: timestamp,
    })),
  }
}

/** Every raw hit is enriched and in the tables. @throws Error saying what to do */
async function assertCounted(log: EventLog): Promise<void> {
  const partition = await uncountedPartition(log)
  if (partition !== null) throw new Error(`some hits are not counted yet (partition ${partition}): ${STOP_FIRST}`)
}

/** No day is being rebuilt. @throws Error saying what to do */
async function assertWhole(store: Store): Promise<void> {
  if (!(await isWhole(store)))
    throw new Error(`a rebuild was interrupted: ${STOP_FIRST} when the log says that it is done`)
}

function assertSpoolEmpty(dir: string): void {
  if (!isSpoolEmpty(dir)) throw new Error(`some hits wait in the spool: ${STOP_FIRST}`)
}
