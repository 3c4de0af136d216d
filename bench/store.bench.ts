/**
 * `npm run bench -- store`: CPU of the embedded ClickHouse per hit, from enriched records to stored rows and rollups, by the
 * size of a batch, and what merging costs until there is nothing left to merge. Before each size the tables are emptied.
 * Options: --rows 1000,8000,50000 (hits of a batch) --hits (200000, each size) --record (200, hits of an enriched record).
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { migrate, openStore, type Store } from '@millrace/store'
import { type EnrichedBlocks, enrichedBlocks, rawRecords } from './enriched-blocks.ts'
import { type CpuByThread, cpuBetween, cpuByThread } from './measure-process.ts'

const { values: args } = parseArgs({
  options: {
    rows: { type: 'string', default: '1000,8000,50000' },
    hits: { type: 'string', default: '200000' },
    record: { type: 'string', default: '200' },
  },
})
const HITS = Number(args.hits)
const RECORD = Number(args.record)
const CALM_MS = 1_000
const LOOK_MS = 200

async function insertAll(store: Store, records: readonly EnrichedBlocks[], perBatch: number): Promise<void> {
  for (let at = 0; at < records.length; at += perBatch) {
    const batch = records.slice(at, at + perBatch)
    const logComment = `bench ${at}`
    await store.insert({ table: 'hits_in', blocks: batch.map(({ hits }) => hits), logComment })
    await store.insert({ table: 'sessions_in', blocks: batch.map(({ sessions }) => sessions), logComment })
  }
}

async function mergesEnd(store: Store): Promise<void> {
  for (let calmMs = 0; calmMs < CALM_MS; calmMs += LOOK_MS) {
    await sleep(LOOK_MS)
    const [row] = await store.query<{ merges: string }>('SELECT count() AS merges FROM system.merges')
    if (row!.merges !== '0') calmMs = 0
  }
}

async function measure(store: Store, records: readonly EnrichedBlocks[], rows: number): Promise<void> {
  for (const { name } of await store.targets()) await store.command(`TRUNCATE TABLE millrace.${name}`)
  const before = cpuByThread(process.pid)
  await insertAll(store, records, Math.max(1, Math.round(rows / RECORD)))
  const inserted = cpuByThread(process.pid)
  await mergesEnd(store)
  const merged = cpuByThread(process.pid)
  const threads = cpuBetween(before, merged).map(([name, us]) => `${name} ${perHit(us)}`)
  console.log(
    `${rows.toLocaleString('en')} hits a batch: ${perHit(total(before, inserted))} µs a hit to insert, ` +
      `${perHit(total(before, merged))} with all merges (${threads.join(', ')})`,
  )
}

const perHit = (us: number): string => (us / HITS).toFixed(1)
const total = (before: CpuByThread, after: CpuByThread): number =>
  cpuBetween(before, after).reduce((sum, [, us]) => sum + us, 0)

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-bench-store-'))
const store = await openStore({ dataDir })
await migrate(store)
const records = enrichedBlocks(rawRecords(HITS, RECORD))
const bytes = records.reduce((sum, { hits, sessions }) => sum + hits.length + sessions.length, 0)
console.log(`${HITS.toLocaleString('en')} hits in records of ${RECORD}, ${Math.round(bytes / HITS)} bytes a hit`)
for (const rows of args.rows.split(',')) await measure(store, records, Number(rows))
await store.close()
rmSync(dataDir, { recursive: true })
process.exit(0)
