import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@millrace/server'
import { migrate, openStore, type Store } from '@millrace/store'
import { type ClickHouseServer, startClickHouseServer, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { insertRows } from '../query/filled-store.fixture.ts'
import { FIRST_MS, LAST_MS, randomSite, SITE_ZONE } from '../query/random-site.fixture.ts'
import type { RebuildPlan } from '../rebuild/plan.ts'
import { contentsOf, readContents } from '../rebuild/rebuilt.fixture.ts'
import { startRebuilds } from '../rebuild/run.ts'
import { deletedRows } from './deleted.fixture.ts'
import { readDeletions } from './deletions.ts'
import { readDue } from './due.ts'
import { withoutHidden } from './hidden.ts'

const DAY_MS = 86_400_000
const dir = mkdtempSync(join(tmpdir(), 'millrace-deletion-'))
const site = randomSite('blog', 20, 4)
let server: ClickHouseServer
/** Of two processes. */
let stores: [Store, Store]
beforeAll(async () => {
  server = await startClickHouseServer({ dir })
  const open = () => openStore({ url: `${server.url}/millrace`, dataDir: dir })
  stores = [await open(), await open()]
  await migrate(stores[0])
  await insertRows(stores[0], 'hits_in', site.hits)
  await insertRows(stores[0], 'sessions_in', site.signed)
})
afterAll(async () => {
  for (const store of stores ?? []) await store.close()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

describe('a deletion on a server', () => {
  it('is hidden by one process, known to the other, and carried out by either', { timeout: 300_000 }, async () => {
    const filter = { dimension: 'path', is: ['/admin'] }
    const deletion = { id: 'd', site: 'blog', zone: 'UTC', fromMs: 0, toMs: LAST_MS + DAY_MS, filter }
    const counts = { hits: 1, visitors: 1, sessions: 1 }
    const logger = createLogger('silent', 'test')
    let closedDay = 0
    const due = async (store: Store): Promise<RebuildPlan[]> =>
      (await readDue(store, closedDay)).map(({ from, to }, n) => ({
        ...{ id: `r-${n}-${from}`, site: 'blog', zone: SITE_ZONE, from, to, keepFrom: 0 },
      }))
    const both = stores.map((store) => startRebuilds({ store, logger, due: () => due(store) }))
    await waitUntil('nothing else runs', async () => ((await both[0]!.hide(deletion, counts)) ? true : null))

    const expected = contentsOf(
      deletedRows({ hits: site.hits, sessions: site.signed }, ({ path }) => path === '/admin'),
      'blog',
    )
    for (const store of stores) expect(await readContents(withoutHidden(store), 'blog')).toEqual(expected)

    closedDay = FIRST_MS / DAY_MS + 60
    for (const rebuilds of both) rebuilds.lookForDue()
    await waitUntil(
      'nothing is left',
      async () => {
        const [stored] = await readDeletions(stores[1], 'blog')
        return stored!.waiting === 0 ? true : null
      },
      240_000,
    )
    for (const rebuilds of both) await rebuilds.close()
    expect(await readContents(stores[1], 'blog')).toEqual(expected)
  })
})
