import { readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { carryIn, endCarrying } from '@millrace/aggregator'
import { AppendInDoubt, type EventLog, type LogRecord, type Move, moveRecord, readMove } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { CONFIG, HITS_ENRICHED, HITS_RAW, SALTS } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { ensureTopics, openKafka } from '../open-log.ts'
import { openMigratedStore } from '../open-store.ts'
import { patiently } from '../reach.ts'
import { MOVE_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'
import { PATIENCE_MS } from './migrate.ts'
import { type Manifest, type MovedTopics, readManifest, TOPICS_FILE } from './moved-folder.ts'

export const command: Command = {
  help: `Usage: millrace import --from FOLDER

Takes what millrace export wrote into Kafka and ClickHouse that nothing has used yet: run it before any service is started.
Interrupted, it goes on when it is run again. Sites, keys and the visitors of today stay what they are; sessions that
were open at the export end there, and a hit_id that is sent again afterwards counts again.

  --from FOLDER

${settingsHelp(MOVE_COMMAND)}`,
  options: { from: { type: 'string' } },

  async run({ from }) {
    if (typeof from !== 'string') throw new Error('say where from: millrace import --from FOLDER')
    const settings = settingsFrom(MOVE_COMMAND, process.env)
    if (settings.MILLRACE_LOG !== 'kafka')
      throw new Error('the import goes into Kafka: set MILLRACE_LOG=kafka and MILLRACE_KAFKA_BROKERS')
    const folder = resolve(from)
    const manifest = readManifest(folder)
    const logger = createLogger(settings.MILLRACE_LOG_LEVEL, 'import', process.stderr)
    const reach = patiently({ logger, patienceMs: PATIENCE_MS })
    const log = await openKafka(settings, { reach, logger })
    await ensureTopics(log, settings, reach)
    const { store } = await openMigratedStore(settings, 'all', reach)
    try {
      console.log(await importFrom(folder, manifest, log, store))
    } finally {
      await store.close()
      await log.close()
    }
  },
}

/** Returns what to tell. @throws Error when something else is there already */
async function importFrom(folder: string, manifest: Manifest, log: EventLog, store: Store): Promise<string> {
  const before = await readMove(log)
  if (before?.done && before.id === manifest.id) return 'this export was imported before: nothing was changed'
  if (before && before.id !== manifest.id)
    throw new Error('another export was imported into these topics before: move into new ones (MILLRACE_TOPIC_PREFIX)')
  const name = `import-${manifest.id}`
  const move = before ?? (await begin(folder, manifest, log, store))
  if (before) await endCarrying(store, name)
  for (const chunk of manifest.chunks) {
    await carryIn(store, { ...chunk, blocks: [readFileSync(join(folder, chunk.file))] }, name)
  }
  await assertComplete(store, manifest)
  await append(log, CONFIG.name, [moveRecord({ ...move, done: true })])
  rmSync(join(folder, TOPICS_FILE), { force: true })
  return `imported ${manifest.hits} hits and ${manifest.sessions} sessions, as log epoch ${move.epoch}; start the services now.
${TOPICS_FILE} with keys and salts was removed from ${folder}; remove the rest, and the old data, when you have looked at the reports`
}

/** Salts first, then the configuration together with the epoch: whoever starts from now on has all three. */
async function begin(folder: string, manifest: Manifest, log: EventLog, store: Store): Promise<Move> {
  await assertUnused(log, store)
  const topics = JSON.parse(readFileSync(join(folder, TOPICS_FILE), 'utf8')) as MovedTopics
  const salts = topics.salts.map(({ key, value, made_at }) => ({
    ...{ key: Buffer.from(key), value: Buffer.from(value, 'base64') },
    headers: { made_at: Buffer.from(String(made_at)) },
  }))
  await append(log, SALTS.name, salts)
  const move = { epoch: manifest.epoch + 1, id: manifest.id, done: false }
  const config = topics.config.map(({ key, value }) => ({ key: Buffer.from(key), value: Buffer.from(value, 'base64') }))
  await append(log, CONFIG.name, [...config, moveRecord(move)])
  return move
}

/** Positions of the old log must not meet those of a new one, nor its visitors other salts. */
async function assertUnused(log: EventLog, store: Store): Promise<void> {
  const admin = log.admin()
  for (const { name } of [HITS_RAW, HITS_ENRICHED, CONFIG]) {
    const used = [...(await admin.endOffsets(name)).values()].some((end) => end > 0)
    if (used) throw new Error(`topic ${name} is in use: import before any service is started, into topics that are new`)
  }
  const [rows] = await store.query<{ n: string }>(
    'SELECT (SELECT count() FROM millrace.hits) + (SELECT count() FROM millrace.sessions) AS n',
  )
  if (Number(rows!.n) > 0) throw new Error('the tables of ClickHouse are not empty: import into a database that is new')
}

async function assertComplete(store: Store, { hits, sessions, epoch }: Manifest): Promise<void> {
  const old = `kp < ${(epoch + 1) * 4096}`
  const [found] = await store.query<{ hits: string; sessions: string }>(
    `SELECT (SELECT count() FROM millrace.hits WHERE ${old}) AS hits,
            (SELECT sum(sign) FROM millrace.sessions WHERE site != '' AND ${old}) AS sessions`,
  )
  if (Number(found!.hits) !== hits || Number(found!.sessions) !== sessions)
    throw new Error(`${found!.hits} of ${hits} hits and ${found!.sessions} of ${sessions} sessions are there`)
}

async function append(log: EventLog, topic: string, records: readonly LogRecord[]): Promise<void> {
  if (records.length === 0) return
  const producer = log.producer()
  for (let tries = 0; ; tries++) {
    try {
      await producer.append(topic, new Map([[0, records]]))
      return
    } catch (error) {
      // The same again: of salts the first counts, of the others the last.
      if (!(error instanceof AppendInDoubt) || tries === 10) throw error
    }
  }
}
