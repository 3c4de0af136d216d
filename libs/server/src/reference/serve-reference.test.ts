import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from '../create-logger.ts'
import { createServer, type Server } from '../create-server.ts'
import { requireKey } from '../require-key.ts'
import { describeRoutes } from './describe-routes.ts'
import type { OpenApi } from './openapi-document.ts'
import { inQuery, json, listOf, named, type Operation, objectOf, TEXT } from './operation.ts'
import { serveReference } from './serve-reference.ts'

const THING = named('Thing', objectOf({ name: TEXT, parts: listOf(TEXT) }, ['parts']))
const operation = (more: Partial<Operation> = {}): Operation => ({
  tag: 'Things',
  summary: 'A thing <b>',
  answers: { 200: { description: 'It', content: json(THING) } },
  errors: ['rate_limited', 'overloaded', 'log_unavailable'],
  ...more,
})

let server: Server
afterEach(() => server.close())

function create(): Server {
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
  return server
}

/** A server with two routes, described. */
async function start(): Promise<void> {
  const { app } = create()
  requireKey(app, { adminKey: '', keyOf: () => null, needs: { '/things': 'read' } })
  app.get('/things/:id', (_request, reply) => reply.send({ name: 'a' }))
  app.post('/made', (_request, reply) => reply.send({ name: 'a' }))
  const body = json(THING, { one: { name: "it's <one> & $HOME" } })
  describeRoutes(app, { 'GET /things/:id': operation({ parameters: [inQuery('q', 'What', TEXT)] }) })
  describeRoutes(app, { 'POST /made': operation({ body }) })
  serveReference(app, '1.2.3')
  await app.ready()
}

const read = async (): Promise<OpenApi> => (await server.app.inject('/v1/openapi.json')).json()
const page = async (host: string): Promise<string> =>
  (await server.app.inject({ url: '/docs', headers: { host } })).body

describe('serveReference', () => {
  it('it has the routes of this server, their parameters, errors and scopes', async () => {
    await start()
    const { paths, components, info } = await read()
    expect(info.version).toBe('1.2.3')
    const own = ['/livez', '/readyz', '/health', '/metrics', '/v1/openapi.json', '/docs']
    expect(Object.keys(paths).sort()).toEqual(['/things/{id}', '/made', ...own].sort())
    const { parameters, responses, security } = paths['/things/{id}']!.get!
    expect(parameters?.map(({ name, in: place, required }) => [name, place, required])).toEqual([
      ['id', 'path', true],
      ['q', 'query', false],
    ])
    expect(security).toEqual([{ key: ['read'] }])
    expect(Object.keys(responses)).toEqual(['200', '401', '403', '429', '500', '503'])
    expect(JSON.stringify(responses['503'])).toContain('"enum":["overloaded","log_unavailable"]')
    expect(paths['/made']!.post!.security).toBeUndefined()
    expect(responses['200']!.content!['application/json']!.schema).toEqual({ $ref: '#/components/schemas/Thing' })
    expect(components.schemas.Thing).toMatchObject({ required: ['name'], additionalProperties: false })
  })

  it('it refuses to start with a route that is not described, and with a description without a route', async () => {
    const { app } = create()
    app.get('/secret', (_request, reply) => reply.send({}))
    describeRoutes(app, { 'GET /gone': operation() })
    serveReference(app, '1')
    await expect(app.ready()).rejects.toThrow('GET /secret is not described, GET /gone is no route')
  })

  it('it refuses two schemas of one name', async () => {
    const { app } = create()
    app.get('/other', (_request, reply) => reply.send({}))
    app.get('/things/:id', (_request, reply) => reply.send({}))
    const other = { 200: { description: 'It', content: json(named('Thing', TEXT)) } }
    describeRoutes(app, { 'GET /other': operation({ answers: other }), 'GET /things/:id': operation() })
    serveReference(app, '1')
    await expect(app.ready()).rejects.toThrow('two schemas called Thing')
  })

  it('its page is of text alone, and repeats no strange host', async () => {
    await start()
    const shown = await page('stats.example:8700')
    expect(shown).toContain('A thing &lt;b&gt;')
    expect(shown).toContain("curl 'http://stats.example:8700/things/ID'")
    expect(shown).toContain(`'{&quot;name&quot;:&quot;it'\\''s &lt;one&gt; &amp; $HOME&quot;}'`)
    expect(shown).not.toMatch(/<script|A thing <b>/)
    expect(await page('a"><script>')).toContain("'http://127.0.0.1:8700/things/ID'")
  })
})
