import { writeFileSync } from 'node:fs'
import { migrate, openStore } from '@millrace/store'
import { waitUntil } from '@millrace/testing'

/**
 * Inserts and merges while no byte can be written: a statement that fails behind its first part, a merge as a statement, and
 * one as the engine does them by itself.
 */
const dataDir = process.argv[2]!
const full = process.env.FAULTS_FULL!
const FAILING = `INSERT INTO millrace.hits (site, day, ko) SELECT 'blog', '2026-11-01', number + throwIf(number = 150)
  FROM numbers(200) SETTINGS max_block_size = 100, min_insert_block_size_rows = 100, min_insert_block_size_bytes = 0`
const MERGE = 'OPTIMIZE TABLE millrace.hits FINAL'

const notices: string[] = []
const store = await openStore({ dataDir, onNotice: (text) => notices.push(text) })
const unchecked = await openStore({ dataDir, role: 'read' })
await migrate(store)
for (let from = 0; from < 300; from += 100)
  await store.command(
    `INSERT INTO millrace.hits (site, day, ko) SELECT 'blog', '2026-11-01', number + ${from} FROM numbers(100)`,
  )
const rows = () =>
  store.query('SELECT count() AS rows, uniqExact(ko) AS different, any(site) AS site FROM millrace.hits')

async function whileFull<T>(work: () => Promise<T>): Promise<T> {
  writeFileSync(full, `byte ${dataDir}/clickhouse\n`)
  try {
    return await work()
  } finally {
    writeFileSync(full, '')
  }
}

const said = (sql: string) =>
  whileFull(() =>
    store.command(sql).then(
      () => 'nothing',
      (error: Error) => error.message,
    ),
  )
const failing = await said(FAILING)
const afterFailing = await rows()
const told = await said(MERGE)
const afterStatement = await rows()
await whileFull(() => unchecked.command(MERGE))
// Whoever met the part that is too short must not keep the table from being loaded.
await unchecked.query('SELECT sum(cityHash64(*)) AS sum FROM millrace.hits').catch(() => undefined)
await waitUntil('the failed writes are noticed', () => notices.length === 3)
const afterMerge = await waitUntil('the rows can be read', rows)
await Promise.all([store.close(), unchecked.close()])
process.stdout.write(JSON.stringify({ failing, afterFailing, told, afterStatement, afterMerge, notices }))
