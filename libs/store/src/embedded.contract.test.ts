import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { getPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { CLUSTER_COMMAND_SETTINGS, CLUSTER_INSERT_SETTINGS, onCluster } from './cluster.ts'
import { INSERT_SETTINGS, REQUIRED } from './insert-settings.ts'
import { MIGRATIONS_DIR, readMigrations } from './migration-files.ts'
import { openStore } from './open-store.ts'
import { storeContract } from './store.suite.ts'
import { StoreUnavailable } from './store.ts'
import { hitBlock, hitRow } from './store-rows.suite.ts'

const dataDir = mkdtempSync(join(tmpdir(), 'millrace-store-'))
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

storeContract('embedded', () => openStore({ dataDir }))

describe('the embedded store', () => {
  const insert = {
    table: 'hits_in',
    blocks: [hitBlock([hitRow('2026-11-03', { site: 'again' })])],
    logComment: '',
  } as const

  it('keeps what it has over a restart, and removes files of inserts that were cut off', async () => {
    const leftover = join(dataDir, 'inserts', 'cut-off.native')
    writeFileSync(leftover, 'half')
    const store = await openStore({ dataDir, role: 'write' })
    expect(await store.query(`SELECT count() > 0 AS kept FROM millrace.hits`)).toEqual([{ kept: 1 }])
    await store.insert(insert)
    await store.insert({ ...insert, blocks: [Buffer.from('no block')] }).catch(() => undefined)
    expect(readdirSync(join(dataDir, 'inserts'))).toEqual([])
    await store.close()
  })

  it('may be opened several times in one process, and inserts where it is opened for it only', async () => {
    const writer = await openStore({ dataDir, role: 'write' })
    const reader = await openStore({ dataDir, role: 'read', queryConnections: 1 })
    const count = (): Promise<unknown[]> => reader.query(`SELECT count() AS n FROM millrace.hits WHERE site = 'again'`)
    expect(await count()).toEqual([{ n: '1' }])
    await writer.insert(insert)
    expect(await count()).toEqual([{ n: '2' }])
    await expect(reader.insert(insert)).rejects.toThrow(StoreUnavailable)
    await Promise.all([reader.close(), writer.close()])
  })

  it.runIf(process.platform === 'linux')('merges only when nobody else wants a processor', async () => {
    const store = await openStore({ dataDir })
    const merges = readdirSync('/proc/self/task').filter(
      (thread) => readFileSync(`/proc/self/task/${thread}/comm`, 'utf8').trim() === 'MergeMutate',
    )
    expect(merges.length).toBeGreaterThan(0)
    for (const thread of merges) expect(getPriority(Number(thread))).toBe(10)
    expect(getPriority()).toBeLessThan(10)
    await store.close()
  })

  it('keeps for a while what parts were merged from, in every table', async () => {
    const store = await openStore({ dataDir, role: 'read' })
    const tables = await store.query<{ name: string; lasts: number }>(
      `SELECT name, position(create_table_query, 'old_parts_lifetime = 60') > 0 AS lasts FROM system.tables
       WHERE database = 'millrace' AND engine LIKE '%MergeTree' ORDER BY name`,
    )
    expect(tables.length).toBeGreaterThan(10)
    expect(tables.filter(({ lasts }) => lasts === 0)).toEqual([])
    await store.close()
  })

  it('knows every setting that inserts name', async () => {
    const store = await openStore({ dataDir, role: 'read' })
    const known = await store.query<{ name: string }>('SELECT name FROM system.settings')
    expect(Object.keys(INSERT_SETTINGS).filter((name) => !known.some((row) => row.name === name))).toEqual([])
    expect(REQUIRED.filter((name) => !(name in INSERT_SETTINGS))).toEqual([])
    await store.close()
  })

  it('parses what is sent to a cluster, and knows its settings and engines', async () => {
    const store = await openStore({ dataDir, role: 'read' })
    const names = async (table: string): Promise<Set<string>> =>
      new Set((await store.query<{ name: string }>(`SELECT name FROM system.${table}`)).map(({ name }) => name))
    const statements = readMigrations(MIGRATIONS_DIR).flatMap((migration) => migration.statements)
    for (const statement of [
      ...statements.map((each) => onCluster(each, 'c')),
      'SYSTEM SYNC REPLICA millrace.`hits` LIGHTWEIGHT',
      "KILL QUERY ON CLUSTER 'c' WHERE query_kind = 'Insert' ASYNC",
    ]) {
      const [formatted] = await store.query<{ sql: string }>('SELECT formatQuery({sql:String}) AS sql', {
        params: { sql: statement },
      })
      expect(formatted!.sql).toMatch(/ON CLUSTER c|SYNC REPLICA/)
    }
    const known = await names('settings')
    expect(
      Object.keys({ ...CLUSTER_COMMAND_SETTINGS, ...CLUSTER_INSERT_SETTINGS }).filter((n) => !known.has(n)),
    ).toEqual([])
    const ofTables = await names('merge_tree_settings')
    for (const name of ['replicated_deduplication_window', 'min_compressed_bytes_to_fsync_after_fetch'])
      expect(ofTables).toContain(name)
    const engines = await names('table_engines')
    for (const statement of statements) {
      const engine = /ENGINE = (Replicated\w+)/.exec(onCluster(statement, 'c'))?.[1]
      if (engine) expect(engines).toContain(engine)
    }
    await store.close()
  })
})
