import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from './create-logger.ts'
import { createServer, type Server } from './create-server.ts'
import { type Access, accessOf, isForSite, requireKey } from './require-key.ts'

let server: Server
afterEach(() => server.close())

const KEYS: Record<string, Access> = {
  reader: { scopes: ['read'], sites: ['blog'] },
  sender: { scopes: ['ingest'], sites: [] },
  boss: { scopes: ['admin'], sites: [] },
}

async function open(adminKey: string) {
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
  const needs = { '/v1/query': 'read', '/v1/sites': 'admin' }
  requireKey(server.app, { adminKey, keyOf: (text) => KEYS[text] ?? null, needs })
  server.app.get('/v1/query', (request, reply) => reply.send(accessOf(request)))
  server.app.get('/v1/sites/:site', (request, reply) => reply.send(accessOf(request)))
  await server.app.ready()
  return (url: string, headers: Record<string, string>) =>
    server.app.inject({ url, headers: { host: 'h', ...headers } })
}
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

describe('requireKey', () => {
  it.each([
    ['/v1/query', {}, 401],
    ['/v1/query?a=b', {}, 401],
    ['/v1/%71uery', {}, 401],
    ['/%76%31/query', {}, 401],
    ['/v1/query', bearer('wrong'), 401],
    ['/v1/query', bearer(''), 401],
    ['/v1/query', { authorization: 'k' }, 401],
    ['/v1/query', { authorization: 'Basic k' }, 401],
    ['/v1/query', bearer('k'), 200],
    ['/v1/query', { authorization: 'bearer k' }, 200],
    ['/v1/%71uery', bearer('k'), 200],
    ['/v1/query', bearer('reader'), 200],
    ['/v1/query', bearer('sender'), 403],
    ['/v1/query', bearer('boss'), 200],
    ['/v1/sites/x', bearer('reader'), 403],
    ['/v1/sites/x', bearer('boss'), 200],
    ['/livez', {}, 200],
    ['/nothing', {}, 404],
  ])('it answers %s with %j by %d', async (path, headers, status) => {
    const get = await open('k')
    expect((await get(path, headers as Record<string, string>)).statusCode).toBe(status)
  })

  it.each([
    [{ host: 'localhost:8700' }, 200],
    [{ host: '127.0.0.1' }, 200],
    [{ host: '[::1]:80' }, 200],
    [{ host: 'rebound.example' }, 403],
    [{ host: '127.0.0.1.rebound.example' }, 403],
    [{ host: 'rebound.example', ...bearer('reader') }, 200],
    [{ host: 'localhost', ...bearer('wrong') }, 401],
    [{ host: 'localhost', ...bearer('sender') }, 403],
  ])('it answers %j by %d where the operator has no key', async (headers, status) => {
    const get = await open('')
    expect((await get('/v1/query', headers as Record<string, string>)).statusCode).toBe(status)
  })

  it('it tells routes what the key may do', async () => {
    const get = await open('k')
    expect((await get('/v1/query', bearer('reader'))).json()).toEqual(KEYS.reader)
    expect((await get('/v1/query', bearer('k'))).json()).toEqual({ scopes: ['admin'], sites: [] })
  })

  it('it takes no sites for all sites', () => {
    expect([isForSite(KEYS.reader!, 'blog'), isForSite(KEYS.reader!, 'shop'), isForSite(KEYS.boss!, 'shop')]).toEqual([
      true,
      false,
      true,
    ])
  })
})
