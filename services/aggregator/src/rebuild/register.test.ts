import { createLogger, createServer, requireKey, type Server } from '@millrace/server'
import { DEFAULT_SITE_SETTINGS, dateOfDay, type SiteSettings } from '@millrace/shared'
import { waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GUARDED_ROUTES } from '../admin/register.ts'
import { type FilledStore, openFilledStore } from '../query/filled-store.fixture.ts'
import { LAST_MS, randomSite } from '../query/random-site.fixture.ts'
import { contentsOf, readContents, rebuiltRows } from './rebuilt.fixture.ts'
import { registerRebuildApi } from './register.ts'
import type { Rebuilds } from './run.ts'
import { countRebuild, rebuildSteps } from './steps.ts'

const DAY_MS = 86_400_000
/** Some dozens of statements, each of which may have to wait for a disk. */
const PATIENCE_MS = 240_000
const LAST = LAST_MS / DAY_MS
const NOW_MS = LAST_MS + 10 * DAY_MS
const site = randomSite('blog', 30, 8)
const shop = randomSite('shop', 20, 9)
const INSTALLATION_KEEPS = 18
const sites: Record<string, SiteSettings> = {
  blog: { ...DEFAULT_SITE_SETTINGS, timezone: 'Asia/Tokyo', retention_days: 20 },
  shop: DEFAULT_SITE_SETTINGS,
  archive: { ...DEFAULT_SITE_SETTINGS, retention_days: 0 },
}

let filled: FilledStore
let opened: { server: Server; rebuilds: Rebuilds }
beforeAll(async () => {
  filled = await openFilledStore([site, shop])
  opened = await open()
})
afterAll(async () => {
  await opened?.server.close()
  await opened?.rebuilds.close()
  await filled?.close()
})

async function open(): Promise<{ server: Server; rebuilds: Rebuilds }> {
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
  requireKey(server.app, { adminKey: 'operator', keyOf: () => null, needs: GUARDED_ROUTES })
  const rebuilds = registerRebuildApi({
    server,
    store: filled.store,
    config: { settingsOf: (id) => sites[id] ?? null },
    settings: { MILLRACE_TIMEZONE: 'UTC', MILLRACE_RETENTION_DAYS: INSTALLATION_KEEPS },
    completeUntil: async () => NOW_MS,
    clock: () => NOW_MS,
  })
  await server.app.ready()
  return { server, rebuilds }
}

async function ask(method: 'GET' | 'POST', body?: unknown, id = 'blog', key = 'operator') {
  const answer = await opened.server.app.inject({
    method,
    url: `/v1/sites/${id}/rebuild`,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  })
  return { status: answer.statusCode, body: answer.json() as Record<string, unknown> }
}

const done = (id = 'blog') =>
  waitUntil(
    'the rebuild is done',
    async () => {
      const { body } = await ask('GET', undefined, id)
      return body.state === 'done' ? body : null
    },
    PATIENCE_MS,
  )

const keepFrom = (NOW_MS + 9 * 3_600_000) / DAY_MS - 20
const plan = { site: 'blog', zone: 'Asia/Tokyo', from: 0, to: LAST + 6, keepFrom: Math.floor(keepFrom) }

describe('/v1/sites/SITE/rebuild', { timeout: 2 * PATIENCE_MS }, () => {
  it.each([
    [{ from: 'yesterday' }, '/from'],
    [{ to: '2026-02-30' }, '/to'],
    [{ from: '2026-10-02', to: '2026-10-01' }, '/to'],
    [{ dry_run: 'yes' }, '/dry_run'],
    [{ days: 3 }, '/days'],
  ])('refuses %j', async (body, pointer) => {
    const { status, body: problem } = await ask('POST', body)
    expect([status, problem.code, (problem.errors as { pointer: string }[])[0]!.pointer]).toEqual([
      400,
      'field_invalid',
      pointer,
    ])
  })

  it('needs a key and a site that there is, and has nothing to say before the first', async () => {
    expect((await ask('POST', {}, 'blog', 'wrong')).status).toBe(401)
    expect((await ask('POST', {}, 'nowhere')).body.code).toBe('site_unknown')
    expect((await ask('GET')).status).toBe(404)
  })

  it('says what it would do, changing nothing', async () => {
    const expected = rebuiltRows({ hits: site.hits, sessions: site.signed }, plan)
    const { status, body } = await ask('POST', { dry_run: true })
    expect([status, body]).toMatchObject([
      200,
      {
        state: 'dry_run',
        timezone: 'Asia/Tokyo',
        keep_from: dateOfDay(plan.keepFrom),
        to: dateOfDay(plan.to),
        hits_kept: expected.hits.length,
        hits_deleted: site.hits.length - expected.hits.length,
      },
    ])
    const asBefore = contentsOf({ hits: site.hits, sessions: site.signed }, 'blog')
    expect(await readContents(filled.store, 'blog')).toEqual(asBefore)
    const open = { from: dateOfDay(LAST + 8) }
    expect((await ask('POST', open)).body).toMatchObject({ state: 'nothing_to_do', hits_moved: 0 })
  })

  it('does it once at a time, and is then right', async () => {
    const [first, second] = await Promise.all([ask('POST'), ask('POST', {})])
    expect([first.status, second.status].sort()).toEqual([202, 409])
    expect([first, second].find(({ status }) => status === 409)!.body.code).toBe('rebuild_running')
    await done()
    const expected = rebuiltRows({ hits: site.hits, sessions: site.signed }, plan)
    expect(await readContents(filled.store, 'blog')).toEqual(contentsOf(expected, 'blog'))
  })

  it('keeps what the installation says where a site says nothing, and all where it says so', async () => {
    const today = Math.floor(NOW_MS / DAY_MS)
    expect((await ask('POST', { dry_run: true }, 'archive')).body).not.toHaveProperty('keep_from')
    const kept = { site: 'shop', zone: 'UTC', from: 0, to: LAST + 6, keepFrom: today - INSTALLATION_KEEPS }
    const expected = rebuiltRows({ hits: shop.hits, sessions: shop.signed }, kept)
    expect(expected.hits.length).toBeLessThan(shop.hits.length)
    const { body } = await ask('POST', {}, 'shop')
    expect(body).toMatchObject({
      state: 'running',
      keep_from: dateOfDay(kept.keepFrom),
      hits_kept: expected.hits.length,
    })
    await done('shop')
    expect(await readContents(filled.store, 'shop')).toEqual(contentsOf(expected, 'shop'))
  })

  it('continues at its start what was interrupted', async () => {
    const moved = { ...plan, id: 'cut', zone: 'America/Los_Angeles' }
    const before = rebuiltRows({ hits: site.hits, sessions: site.signed }, plan)
    await opened.server.close()
    await opened.rebuilds.close()
    const tools = { store: filled.store, deadline: () => null }
    const counts = await countRebuild(tools, moved)
    for await (const step of rebuildSteps(tools, { plan: moved, counts, state: null })) {
      if (step.startsWith('insert hits')) break
    }
    opened = await open()
    expect(await done()).toMatchObject({ id: 'cut', timezone: 'America/Los_Angeles' })
    const expected = rebuiltRows(before, moved)
    expect(await readContents(filled.store, 'blog')).toEqual(contentsOf(expected, 'blog'))
  })
})
