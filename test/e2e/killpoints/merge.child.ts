import { writeFileSync } from 'node:fs'
import { migrate, openStore } from '@millrace/store'
import { waitUntil } from '@millrace/testing'

/** Merges parts while no byte can be written, once as a statement that is checked and once as the engine does by itself. */
const dataDir = process.argv[2]!
const full = process.env.FAULTS_FULL!
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

const told = await whileFull(() =>
  store.command(MERGE).then(
    () => 'nothing',
    (error: Error) => error.message,
  ),
)
const afterStatement = await rows()
await whileFull(() => unchecked.command(MERGE))
// Whoever met the part that is too short must not keep the table from being loaded.
await unchecked.query('SELECT sum(cityHash64(*)) AS sum FROM millrace.hits').catch(() => undefined)
await waitUntil('the failed writes are noticed', async () => notices.length === 2)
const afterMerge = await waitUntil('the rows can be read', rows)
await Promise.all([store.close(), unchecked.close()])
process.stdout.write(JSON.stringify({ told, notices, afterStatement, afterMerge }))
