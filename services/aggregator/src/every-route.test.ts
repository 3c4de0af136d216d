/** Keys, scopes and sites on every route of the aggregator, however many there will be. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigWriter, openConfigBook, openConfigWriter } from '@millrace/config'
import { openEmbeddedLog } from '@millrace/log'
import { type Access, createLogger, createServer, requireKey, serveReference } from '@millrace/server'
import { TOPICS } from '@millrace/shared'
import { migrate, openSqlConsole, openStore } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GUARDED_ROUTES, registerAdminApi } from './admin/register.ts'
import { registerLedgerApi } from './ledger/register.ts'
import { registerQueryApi } from './query/register.ts'
import { registerRebuildApi } from './rebuild/register.ts'
import { acceptClickHouseCredentials } from './sql/clickhouse-credentials.ts'
import { registerSqlApi } from './sql/register.ts'

/** What may be done for one site by a key of it; `everything`: only by a key that is for all sites; `own`: anybody sees what is its own. */
type Reach = 'site' | 'everything' | 'own'
type Scope = 'read' | 'sql' | 'admin'
interface Route {
  readonly scope: Scope
  readonly reach: Reach
  /** An address and body that name the site `blog`. */
  readonly url?: string
  readonly body?: unknown
}

const QUERY = { site: 'blog', period: '7d', metrics: ['visitors'] }
const routeOf =
  (scope: Scope) =>
  (reach: Reach, url?: string, body?: unknown): Route => ({ scope, reach, ...(url && { url }), body })
const [read, sql, admin] = [routeOf('read'), routeOf('sql'), routeOf('admin')]

/** Every route, by its method and address as it was added. One that is missing here, or too many, fails the first test. */
const ROUTES: Record<string, Route> = {
  'POST /v1/query': read('site', undefined, QUERY),
  'GET /v1/query': read('site', '/v1/query?site=blog&period=7d&metrics=visitors'),
  'GET /v1/reports': read('own'),
  'POST /v1/reports/:name': read('site', '/v1/reports/pages', { site: 'blog' }),
  'GET /v1/reports/:name': read('site', '/v1/reports/funnel?site=blog&steps=[{"path":"/"},{"path":"/a"}]'),
  'GET /v1/reports/realtime/stream': read('site', '/v1/reports/realtime/stream?site=blog'),
  'GET /v1/ledger': read('site', '/v1/ledger?site=blog'),
  'POST /v1/sql': sql('everything', undefined, 'SELECT 1'),
  'POST /clickhouse': sql('everything', undefined, 'SELECT 1'),
  'POST /clickhouse/': sql('everything', undefined, 'SELECT 1'),
  'GET /clickhouse': sql('everything', '/clickhouse?query=SELECT+1'),
  'GET /clickhouse/': sql('everything', '/clickhouse/?query=SELECT+1'),
  'GET /clickhouse/ping': sql('own'),
  'GET /v1/sites': admin('own'),
  'POST /v1/sites': admin('everything', undefined, { id: 'new' }),
  'GET /v1/sites/:id': admin('site'),
  'PUT /v1/sites/:id': admin('site', undefined, { name: 'b' }),
  'PATCH /v1/sites/:id': admin('site', undefined, { name: 'b' }),
  'DELETE /v1/sites/:id': admin('everything'),
  'GET /v1/sites/:id/goals': admin('site'),
  'GET /v1/sites/:id/goals/:goal': admin('site'),
  'POST /v1/sites/:id/goals': admin('site', undefined, { id: 'g', type: 'page', path: '/' }),
  'PUT /v1/sites/:id/goals/:goal': admin('site', undefined, { type: 'page', path: '/' }),
  'DELETE /v1/sites/:id/goals/:goal': admin('site'),
  'GET /v1/sites/:id/rebuild': admin('site'),
  'POST /v1/sites/:id/rebuild': admin('site', undefined, { dry_run: true }),
  'GET /v1/sites/:id/deletions': admin('site'),
  'POST /v1/sites/:id/deletions': admin('site', undefined, { filter: { dimension: 'path', is: '/' }, preview: true }),
  'DELETE /v1/sites/:id/deletions/:deletion': admin('site'),
  'GET /v1/keys': admin('everything'),
  'POST /v1/keys': admin('everything', undefined, { name: 'k', scopes: ['read'], sites: [] }),
  'DELETE /v1/keys/:id': admin('everything'),
}
const CASES = Object.entries(ROUTES)

const KEYS: Record<string, Access> = {}
for (const scope of ['ingest', 'read', 'sql', 'admin']) {
  KEYS[`${scope}-all`] = { scopes: [scope], sites: [] }
  KEYS[`${scope}-blog`] = { scopes: [scope], sites: ['blog'] }
  KEYS[`${scope}-shop`] = { scopes: [scope], sites: ['shop'] }
}

const dir = mkdtempSync(join(tmpdir(), 'millrace-routes-'))
const server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
const added = new Set<string>()
const OF_EVERY_SERVICE = ['GET /v1/openapi.json', 'GET /docs']
const closing: (() => Promise<unknown>)[] = []
let writer: ConfigWriter

beforeAll(async () => {
  const store = await openStore({ dataDir: dir })
  await migrate(store)
  const log = await openEmbeddedLog({ dir: join(dir, 'log'), topics: TOPICS, hitPartitions: 1 })
  const config = await openConfigBook(log)
  writer = openConfigWriter(log, config)
  for (const id of ['blog', 'shop']) await writer.addSite(id, {})
  const console = await openSqlConsole({ url: '', dataDir: dir })
  const { app } = server
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') added.add(`${one} ${url}`)
  })
  acceptClickHouseCredentials(app, '/clickhouse')
  requireKey(app, { adminKey: 'operator', keyOf: (text) => KEYS[text] ?? null, needs: GUARDED_ROUTES })
  const settings = { MILLRACE_TIMEZONE: 'UTC', MILLRACE_RETENTION_DAYS: 0 }
  const completeUntil = async () => Date.now()
  registerQueryApi({ server, store, config, settings, completeUntil })
  registerLedgerApi({ server, store, log, completeUntil })
  registerSqlApi({ server, console })
  registerAdminApi({ server, config, writer })
  const rebuilds = registerRebuildApi({ server, store, config, settings, completeUntil })
  serveReference(app, 'test')
  await app.ready()
  closing.push(
    () => server.close(),
    () => rebuilds.close(),
    () => console.close(),
    () => writer.close(),
  )
  closing.push(
    () => config.close(),
    () => store.close(),
    () => log.close(),
  )
})
afterAll(async () => {
  for (const close of closing) await close()
  rmSync(dir, { recursive: true, force: true })
})

async function ask(name: string, { url, body }: Route, key: string): Promise<{ status: number; text: string }> {
  const [method, path] = name.split(' ') as ['GET', string]
  const address = url ?? path.replace(':id', 'blog').replace(/:\w+/, 'x')
  const answer = await server.app.inject({
    method,
    url: address,
    headers: {
      ...(key && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': typeof body === 'string' ? 'text/plain' : 'application/json' }),
    },
    ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: answer.statusCode, text: answer.body }
}

const others = (scope: Scope): string[] => ['ingest', 'read', 'sql'].filter((one) => one !== scope)

describe('the routes of the aggregator', () => {
  it('are all of these', () => {
    expect([...added].sort()).toEqual([...Object.keys(ROUTES), ...OF_EVERY_SERVICE].sort())
  })

  it('are described with the scopes that they need', async () => {
    const { paths } = (await server.app.inject('/v1/openapi.json')).json()
    for (const [name, { scope }] of CASES) {
      const [method, path] = name.split(' ') as [string, string]
      const { security } = paths[path.replaceAll(/:(\w+)/g, '{$1}')][method.toLowerCase()]
      expect([name, security]).toEqual([name, [{ key: [scope] }]])
    }
  })

  it.each(CASES)('%s needs a key that there is', async (name, route) => {
    expect((await ask(name, route, '')).status).toBe(401)
    expect((await ask(name, route, 'nobodys')).status).toBe(401)
  })

  it.each(CASES)('%s needs its scope', async (name, route) => {
    for (const scope of others(route.scope)) {
      const { status, text } = await ask(name, route, `${scope}-all`)
      expect([scope, status]).toEqual([scope, 403])
      expect(text).toContain(`does not have the scope ${route.scope}`)
    }
  })

  it.each(CASES.filter(([, { reach }]) => reach !== 'own'))(
    '%s is not for a key of another site',
    async (name, route) => {
      const { status, text } = await ask(name, route, `${route.scope}-shop`)
      expect(status, text).toBe(403)
      expect(text).toMatch(/is not for this site|for all sites|for some sites only/)
      // A key that is for the site comes further, unless it has to be for all of them.
      if (route.reach === 'everything') expect((await ask(name, route, `${route.scope}-blog`)).status).toBe(403)
    },
  )

  it('tells a key for some sites why it may not ask by SQL', async () => {
    for (const name of ['POST /v1/sql', 'POST /clickhouse/']) {
      const { text } = await ask(name, ROUTES[name]!, 'sql-blog')
      expect(text).toContain(
        'for some sites only, and SQL cannot be limited to sites here: use a key for all sites, or /v1/query',
      )
    }
  })

  it('shows a key for some sites these alone', async () => {
    const { text } = await ask('GET /v1/sites', ROUTES['GET /v1/sites']!, 'admin-shop')
    expect((JSON.parse(text) as { sites: { id: string }[] }).sites.map(({ id }) => id)).toEqual(['shop'])
    const ledger = await ask('GET /v1/ledger', { ...ROUTES['GET /v1/ledger']!, url: '/v1/ledger' }, 'read-shop')
    expect(JSON.parse(ledger.text)).toMatchObject({ query: { sites: ['shop'] } })
  })
})
