import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BlockWriter, HIT_COLUMNS, type HitRow, SESSION_BLOCK_COLUMNS, type SessionRow } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import type { RandomSite } from './random-site.fixture.ts'

export interface FilledStore {
  readonly store: Store
  close(): Promise<void>
}

/** A store of its own with the sites in it. */
export async function openFilledStore(sites: readonly RandomSite[]): Promise<FilledStore> {
  const dataDir = await mkdtemp(join(tmpdir(), 'millrace-query-'))
  const store = await openStore({ dataDir })
  await migrate(store)
  for (const site of sites) await insertSite(store, site)
  return {
    store,
    async close() {
      await store.close()
      await rm(dataDir, { recursive: true, force: true })
    },
  }
}

const isFirst = ({ version, sign }: SessionRow): boolean => version === 1 && sign === 1

/** Corrections come in an insert of their own: within one, the table would cancel rows before anybody could read them. */
async function insertSite(store: Store, { hits, signed }: RandomSite): Promise<void> {
  await insertRows(store, 'hits_in', hits)
  await insertRows(store, 'sessions_in', signed.filter(isFirst))
  await insertRows(
    store,
    'sessions_in',
    signed.filter((row) => !isFirst(row)),
  )
}

/** Inserts rows as the aggregator does. */
export async function insertRows(
  store: Store,
  table: 'hits_in' | 'sessions_in',
  rows: readonly (HitRow | SessionRow)[],
): Promise<void> {
  const writer = table === 'hits_in' ? new BlockWriter(HIT_COLUMNS) : new BlockWriter(SESSION_BLOCK_COLUMNS)
  for (const row of rows) writer.append(row as never)
  await store.insert({ table, blocks: [writer.finish()], logComment: '' })
}
