import { createLogger, createServer, requireKey, type Server } from '@millrace/server'
import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import { waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GUARDED_ROUTES } from '../admin/register.ts'
import { type FilledStore, openFilledStore } from '../query/filled-store.fixture.ts'
import { FIRST_MS, LAST_MS, randomSite, SITE_ZONE } from '../query/random-site.fixture.ts'
import { registerQueryApi } from '../query/register.ts'
import { contentsOf, readContents } from '../rebuild/rebuilt.fixture.ts'
import { registerRebuildApi } from '../rebuild/register.ts'
import type { Rebuilds } from '../rebuild/run.ts'
import { deletedRows } from './deleted.fixture.ts'
import { withoutHidden } from './hidden.ts'

const DAY_MS = 86_400_000
/** Some dozens of statements, each of which may have to wait for a disk. */
const PATIENCE_MS = 240_000
const site = randomSite('blog', 40, 8)
const sites: Record<string, SiteSettings> = { blog: { ...DEFAULT_SITE_SETTINGS, timezone: SITE_ZONE } }

let filled: FilledStore
let server: Server
let rebuilds: Rebuilds
let nowMs = LAST_MS + DAY_MS
/** Up to here all is counted: moved on by the tests, so that days are closed. */
let completeMs = nowMs
beforeAll(async () => {
  filled = await openFilledStore([site])
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
  requireKey(server.app, { adminKey: 'operator', keyOf: () => null, needs: GUARDED_ROUTES })
  const api = {
    server,
    store: filled.store,
    settings: { MILLRACE_TIMEZONE: 'UTC', MILLRACE_RETENTION_DAYS: 0 },
    completeUntil: async () => completeMs,
    clock: () => nowMs,
  }
  const config = { settingsOf: (id: string) => sites[id] ?? null, goalsOf: () => [] }
  rebuilds = registerRebuildApi({ ...api, config })
  registerQueryApi({ ...api, config })
  await server.app.ready()
})
afterAll(async () => {
  await server?.close()
  await rebuilds?.close()
  await filled?.close()
})

async function ask(method: 'GET' | 'POST' | 'DELETE', body?: unknown, path = '/v1/sites/blog/deletions') {
  const answer = await server.app.inject({
    method,
    url: path,
    headers: { authorization: 'Bearer operator', ...(body !== undefined && { 'content-type': 'application/json' }) },
    ...(body !== undefined && { payload: JSON.stringify(body) }),
  })
  return { status: answer.statusCode, body: (answer.body === '' ? {} : answer.json()) as Record<string, unknown> }
}
const listed = async () => (await ask('GET')).body.deletions as Record<string, unknown>[]
const page = { dimension: 'path', is: ['/admin'] }

describe('/v1/sites/SITE/deletions', () => {
  it.each([
    [{}, '/filter'],
    [{ filter: { dimension: 'colour', is: ['red'] } }, '/filter/dimension'],
    [{ filter: { dimension: 'path', matches: ['('] } }, '/filter/matches/0'],
    [{ filter: page, from: 'yesterday' }, '/from'],
    [{ filter: page, from: '2026-10-02', to: '2026-10-01' }, '/to'],
    [{ filter: page, preview: 'yes' }, '/preview'],
    [{ filter: page, period: '7d' }, '/period'],
    [{ filter: page, timezone: 'Mars/Olympus' }, '/timezone'],
  ])('refuses %j', async (body, pointer) => {
    const { status, body: problem } = await ask('POST', body)
    expect(status).toBe(400)
    expect((problem.errors as { pointer: string }[])[0]!.pointer).toBe(pointer)
  })

  it('knows no deletion of a site that there is not', async () => {
    expect((await ask('POST', { filter: page }, '/v1/sites/nowhere/deletions')).body.code).toBe('site_unknown')
    expect((await ask('DELETE', undefined, '/v1/sites/blog/deletions/none')).status).toBe(404)
  })

  it('says what would go, changing nothing', async () => {
    const { status, body } = await ask('POST', { filter: page, from: '2026-10-25', to: '2026-10-31', preview: true })
    expect([status, body]).toMatchObject([
      200,
      {
        state: 'preview',
        site: 'blog',
        from: '2026-10-24T22:00:00.000Z',
        to: '2026-10-31T23:00:00.000Z',
        timezone: SITE_ZONE,
        filter: page,
      },
    ])
    const days = body.days as { date: string; page_views: number; closed: boolean }[]
    expect(days.map(({ date }) => date)).toEqual(days.map(({ date }) => date).sort())
    expect(days.filter(({ closed }) => closed).at(-1)!.date <= '2026-10-30').toBe(true)
    expect(days.at(-1)!.closed).toBe(false)
    expect(body.page_views).toBe(days.reduce((sum, day) => sum + day.page_views, 0))
    expect(await listed()).toEqual([])
    const nothing = await ask('POST', { filter: { dimension: 'path', is: ['/nobody'] } })
    expect([nothing.status, nothing.body]).toMatchObject([200, { state: 'nothing_to_do', rows: 0, days: [] }])
  })

  it('hides at once, deletes when the days are closed, and says how it stands', {
    timeout: 2 * PATIENCE_MS,
  }, async () => {
    completeMs = FIRST_MS
    const expected = deletedRows({ hits: site.hits, sessions: site.signed }, ({ path }) => path === '/admin')
    const begun = await waitUntil('nothing else runs', async () => {
      const answer = await ask('POST', { filter: page })
      return answer.status === 202 ? answer.body : null
    })
    expect(begun).toMatchObject({ state: 'hidden', filter: page })
    const report = await ask(
      'POST',
      { site: 'blog', period: { from: '2026-10-01', to: '2026-11-09' }, metrics: ['page_views'], dimensions: ['path'] },
      '/v1/query',
    )
    const paths = (report.body.rows as { path: string }[]).map(({ path }) => path)
    expect(paths).toContain('/pricing')
    expect(paths).not.toContain('/admin')
    expect(await listed()).toMatchObject([{ id: begun.id, state: 'hidden' }])
    expect(await readContents(withoutHidden(filled.store), 'blog')).toEqual(contentsOf(expected, 'blog'))

    nowMs = LAST_MS + 12 * DAY_MS
    completeMs = nowMs
    rebuilds.lookForDue()
    await waitUntil('it is deleted', async () => ((await listed())[0]!.state === 'done' ? true : null), PATIENCE_MS)
    await waitUntil(
      'its rebuilds are done',
      async () => {
        const { body } = await ask('GET', undefined, '/v1/sites/blog/rebuild')
        return body.state === 'done' ? true : null
      },
      PATIENCE_MS,
    )
    expect(await readContents(filled.store, 'blog')).toEqual(contentsOf(expected, 'blog'))
    const [view] = await filled.store.query<{ text: string }>(
      "SELECT as_select AS text FROM system.tables WHERE database = 'analytics' AND name = 'hits'",
    )
    expect(view!.text, 'the views read the tables again').toContain('FROM millrace.hits')
  })

  it('shows again what was hidden by mistake', async () => {
    completeMs = FIRST_MS
    const before = await readContents(filled.store, 'blog')
    const { body } = await waitUntil('nothing else runs', async () => {
      const answer = await ask('POST', { filter: { dimension: 'path', is: ['/docs'] } })
      return answer.status === 202 ? answer : null
    })
    await waitUntil('nothing else runs', async () => {
      const { status } = await ask('DELETE', undefined, `/v1/sites/blog/deletions/${body.id}`)
      return status === 204 ? true : null
    })
    expect((await listed())[0]).toMatchObject({ id: body.id, state: 'revoked', waiting: 0 })
    expect(await readContents(withoutHidden(filled.store), 'blog')).toEqual(before)
  })
})
