/** Data folders that another version of Millrace has left: brought up to date at the start, or refused with the reason. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { CONFIG } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const MIGRATIONS = new URL('../../../../libs/store/migrations', import.meta.url)
const folder = mkdtempSync(join(tmpdir(), 'millrace-older-'))
let store: Store

/** The first version of the schema, and a row of that time. */
beforeAll(async () => {
  const first = join(folder, 'migrations')
  cpSync(MIGRATIONS, first, { recursive: true, filter: (path) => !/\/000[2-9]-|\/00[1-9]\d-/.test(path) })
  store = await openStore({ dataDir: folder })
  expect(await migrate(store, { dir: first })).toEqual({ applied: [1] })
  await store.command(`INSERT INTO millrace.hits_in (site, day, time, hostname, path, kp, ko)
    VALUES ('blog', '2026-10-01', '2026-10-01 12:00:00', 'example.com', '/old', 4096, 0)`)
  await store.command(`INSERT INTO millrace.sessions_in (site, day, session_id, version, sign, page_views, exit_path, kp, ko)
    VALUES ('blog', '2026-10-01', 1, 1, 1, 1, '/old', 4096, 0)`)
})
afterAll(async () => {
  await store.close()
  rmSync(folder, { recursive: true, force: true })
})

const versions = async (): Promise<number[]> =>
  (await store.query<{ version: number }>('SELECT version FROM millrace.schema_migrations ORDER BY version')).map(
    (row) => Number(row.version),
  )

describe('a store', () => {
  it('of an older version is brought up to date, and keeps what it has', async () => {
    const { applied } = await migrate(store)
    expect(applied[0] ?? 2).toBe(2)
    expect(await versions()).toEqual([1, ...applied])
    const rows = await store.query(`SELECT path, page_views FROM millrace.daily_pages WHERE site = 'blog'`)
    expect(rows).toEqual([{ path: '/old', page_views: '1' }])
    expect(await migrate(store)).toEqual({ applied: [] })
  })

  it('has page times of its new rows only: those of the older ones are not said to be sums', async () => {
    await store.command(`INSERT INTO millrace.hits_in (site, day, time, path, previous_path, previous_ms, previous_depth, kp, ko)
      VALUES ('blog', '2026-10-02', '2026-10-02 12:00:00', '/new', '/before', 5, 60, 4096, 1)`)
    await store.command(`INSERT INTO millrace.sessions_in
      (site, day, session_id, version, sign, page_views, exit_path, exit_at, exit_signal_at, exit_depth, pages_in_order, kp, ko)
      VALUES ('blog', '2026-10-02', 2, 1, 1, 2, '/new', '2026-10-02 12:00:00', '2026-10-02 12:00:09', 70, 1, 4096, 1)`)
    const hits = `SELECT path, previous_path, previous_depth FROM millrace.hits WHERE site = 'blog' ORDER BY time`
    expect(await store.query(hits)).toEqual([
      { path: '/old', previous_path: '', previous_depth: 0 },
      { path: '/new', previous_path: '/before', previous_depth: 60 },
    ])
    const sessions = `SELECT exit_path, exit_depth, toUnixTimestamp(exit_signal_at) > 0 AS timed, toUInt8(pages_in_order) AS sums
      FROM millrace.sessions WHERE site = 'blog' ORDER BY day`
    expect(await store.query(sessions)).toEqual([
      { exit_path: '/old', exit_depth: 0, timed: 0, sums: 0 },
      { exit_path: '/new', exit_depth: 70, timed: 1, sums: 1 },
    ])
  })

  it('of a newer version is refused, and not touched', async () => {
    const before = await versions()
    await store.command(
      `INSERT INTO millrace.schema_migrations (version, name, sha256) VALUES (9999, 'of-the-future', '')`,
    )
    await expect(migrate(store)).rejects.toThrow(
      /the database has migration 9999 \(of-the-future\), this program knows \d+: run a newer version of Millrace/,
    )
    expect(await versions()).toEqual([...before, 9999])
  })
})

describe('a log', () => {
  const dir = join(folder, 'log')
  const open = () => openEmbeddedLog({ dir, hitPartitions: 1, topics: [CONFIG] })

  it('of a newer format is refused, and not touched', async () => {
    await (await open()).close()
    const path = join(dir, 'log.json')
    writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), format: 2 }))
    await expect(open()).rejects.toThrow('format 2 is not known to this version')
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({ format: 2, epoch: 1 })
  })
})
