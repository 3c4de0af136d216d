import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger } from '@millrace/server'
import { migrate, openStore, type Store } from '@millrace/store'
import { type ClickHouseServer, startClickHouseServer, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { insertRows } from '../query/filled-store.fixture.ts'
import { LAST_MS, randomSite } from '../query/random-site.fixture.ts'
import { takeLease } from './lease.ts'
import { contentsOf, readContents, rebuiltRows } from './rebuilt.fixture.ts'
import { startRebuilds } from './run.ts'

const dir = mkdtempSync(join(tmpdir(), 'millrace-lease-'))
let server: ClickHouseServer
/** Of two processes. */
let stores: [Store, Store]
beforeAll(async () => {
  server = await startClickHouseServer({ dir })
  const open = () => openStore({ url: `${server.url}/millrace`, dataDir: dir })
  stores = [await open(), await open()]
  await migrate(stores[0])
})
afterAll(async () => {
  for (const store of stores ?? []) await store.close()
  await server?.stop()
  rmSync(dir, { recursive: true, force: true })
})

describe('takeLease on a server', () => {
  it('is for one at a time, and for the next when it is given back', async () => {
    const both = await Promise.all(stores.map((store) => takeLease(store)))
    const [held, ...more] = both.filter((lease) => lease !== null)
    expect(more).toEqual([])
    await held!.renew()
    expect(held!.until()).toBeGreaterThan(await stores[0].nowMs())
    expect(await takeLease(stores[1])).toBeNull()
    await held!.release()
    const next = await takeLease(stores[1])
    expect(next).not.toBeNull()
    await next!.release()
  })

  it('goes to another when its time is over, and its holder notices', async () => {
    const held = await takeLease(stores[0])
    await stores[1].command(`ALTER TABLE millrace.rebuild_lease MODIFY COMMENT 'somebody until=1'`)
    await expect(held!.renew()).rejects.toThrow(/taken over/)
    const next = await takeLease(stores[1])
    await expect(held!.renew()).rejects.toThrow(/taken over/)
    await held!.release()
    await next!.renew()
    await next!.release()
  })
})

describe('startRebuilds on a server', () => {
  it('lets one of two processes rebuild, and both see how it stands', async () => {
    const { hits, signed: sessions } = randomSite('blog', 20, 4)
    await insertRows(stores[0], 'hits_in', hits)
    await insertRows(stores[0], 'sessions_in', sessions)
    const logger = createLogger('silent', 'test')
    const both = stores.map((store) => startRebuilds({ store, logger }))
    const plan = { site: 'blog', zone: 'Asia/Tokyo', from: 0, to: LAST_MS / 86_400_000, keepFrom: 0 }
    const begun = await waitUntil('a rebuild begins', async () => {
      const answers = await Promise.all(both.map((rebuilds, n) => rebuilds.begin({ ...plan, id: `by-${n}` })))
      const some = answers.filter((answer) => answer !== null)
      return some.length > 0 ? some : null
    })
    expect(begun.length).toBe(1)
    for (const rebuilds of both) {
      await waitUntil('it is done', async () => {
        const status = await rebuilds.status('blog')
        return status?.rebuild.state === 'done' ? true : null
      })
      await rebuilds.close()
    }
    const expected = rebuiltRows({ hits, sessions }, plan)
    expect(await readContents(stores[1], 'blog')).toEqual(contentsOf(expected, 'blog'))
  })
})
