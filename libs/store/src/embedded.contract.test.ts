import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { INSERT_SETTINGS, REQUIRED } from './insert-settings.ts'
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

  it('knows every setting that inserts name', async () => {
    const store = await openStore({ dataDir, role: 'read' })
    const known = await store.query<{ name: string }>('SELECT name FROM system.settings')
    expect(Object.keys(INSERT_SETTINGS).filter((name) => !known.some((row) => row.name === name))).toEqual([])
    expect(REQUIRED.filter((name) => !(name in INSERT_SETTINGS))).toEqual([])
    await store.close()
  })
})
