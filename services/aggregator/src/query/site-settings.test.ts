import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, createServer, requireKey, type Server } from '@millrace/server'
import { BlockWriter, DEFAULT_SITE_SETTINGS, HIT_COLUMNS, type SiteSettings } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { randomSite } from './random-site.fixture.ts'
import { registerQueryApi } from './register.ts'

const NOW_MS = Date.parse('2026-11-02T20:00:00Z')
const SITES: Record<string, Partial<SiteSettings>> = {
  blog: {},
  shop: { timezone: 'Asia/Tokyo', include_bots: true, retention_days: 2 },
}
const KEYS: Record<string, { scopes: string[]; sites: string[] }> = {
  reader: { scopes: ['read'], sites: ['shop'] },
  both: { scopes: ['read'], sites: ['shop', 'blog'] },
  boss: { scopes: ['admin'], sites: [] },
}

let dataDir: string
let store: Store
let server: Server

beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'millrace-query-sites-'))
  store = await openStore({ dataDir })
  await migrate(store)
  const hits = new BlockWriter(HIT_COLUMNS)
  for (const site of Object.keys(SITES)) for (const hit of randomSite(site, 200, 4).hits) hits.append(hit)
  await store.insert({ table: 'hits_in', blocks: [hits.finish()], logComment: '' })
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
  requireKey(server.app, { adminKey: 'k', keyOf: (text) => KEYS[text] ?? null, needs: { '/v1/query': 'read' } })
  const settingsOf = (site: string) => (SITES[site] ? { ...DEFAULT_SITE_SETTINGS, ...SITES[site] } : null)
  registerQueryApi({
    server,
    store,
    config: { settingsOf, goalsOf: () => [] },
    settings: { MILLRACE_TIMEZONE: 'Europe/Vienna', MILLRACE_RETENTION_DAYS: 0 },
    completeUntil: async () => NOW_MS,
    clock: () => NOW_MS,
  })
  await server.app.ready()
})
afterAll(async () => {
  await server?.close()
  await store?.close()
  await rm(dataDir, { recursive: true, force: true })
})

interface Answer {
  readonly code?: string
  readonly query: Record<string, unknown>
  readonly rows: readonly { day: string; page_views: number }[]
  readonly totals: { page_views: number }
}
async function ask(query: object, key = 'k'): Promise<{ status: number; body: Answer }> {
  const answer = await server.app.inject({
    method: 'POST',
    url: '/v1/query',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    payload: JSON.stringify({ period: '7d', metrics: ['page_views'], dimensions: ['day'], ...query }),
  })
  return { status: answer.statusCode, body: answer.json() }
}

describe('a query', () => {
  it('takes zone and bots of the site unless it says otherwise', async () => {
    const site = (await ask({ site: 'shop' })).body.query
    expect([site.timezone, site.include_bots, site.to]).toEqual(['Asia/Tokyo', true, '2026-11-03T15:00:00.000Z'])
    const own = (await ask({ site: 'shop', timezone: 'UTC', include_bots: false })).body.query
    expect([own.timezone, own.include_bots]).toEqual(['UTC', false])
    const installation = (await ask({ site: 'blog' })).body.query
    expect([installation.timezone, installation.include_bots]).toEqual(['Europe/Vienna', false])
  })

  it.each(['7d', 'all', { from: '2026-10-20', to: '2026-11-03' }])(
    'shows of %j what the site still keeps',
    async (period) => {
      const shown = { site: 'shop', period, include_bots: false }
      const days = (body: Answer) => body.rows.filter((row) => row.page_views > 0).map((row) => row.day)
      const kept = days((await ask(shown)).body)
      const all = days((await ask({ ...shown, site: 'blog', timezone: 'Asia/Tokyo' })).body)
      // It is the third of November in Tokyo. Rows are dated by the installation's zone in this fixture.
      expect(all.some((day) => day < '2026-10-31')).toBe(true)
      expect(kept.length).toBeGreaterThan(0)
      expect(kept.every((day) => day >= '2026-11-01')).toBe(true)
    },
  )

  it.each([
    [{ site: 'nobody' }, 'k', 404, 'site_unknown'],
    [{}, 'k', 404, 'site_unknown'],
    [{ site: 'shop' }, 'reader', 200, undefined],
    [{}, 'reader', 200, undefined],
    [{ site: 'blog' }, 'reader', 403, 'forbidden'],
    [{ site: 'nobody' }, 'reader', 403, 'forbidden'],
    [{ site: 'blog' }, 'both', 200, undefined],
    [{}, 'both', 403, 'forbidden'],
    [{ site: 'blog' }, 'boss', 200, undefined],
    [{ site: 7 }, 'boss', 400, 'query_invalid'],
    [{ site: '../etc' }, 'boss', 400, 'query_invalid'],
  ] as const)('%j with the key %s is answered by %d %s', async (query, key, status, code) => {
    const answer = await ask(query, key)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })
})
