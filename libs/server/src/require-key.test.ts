import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from './create-logger.ts'
import { createServer, type Server } from './create-server.ts'
import { requireKey } from './require-key.ts'

describe('requireKey', () => {
  let server: Server
  let url: string

  beforeEach(async () => {
    server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
    requireKey(server.app, 'k', ['/v1/query'])
    server.app.get('/v1/query', (_request, reply) => reply.send({}))
    url = await server.listen()
  })
  afterEach(() => server.close())

  it.each([
    ['/v1/query', {}, 401],
    ['/v1/query?a=b', {}, 401],
    ['/v1/%71uery', {}, 401],
    ['/%76%31/query', {}, 401],
    ['/v1/query', { authorization: 'Bearer wrong' }, 401],
    ['/v1/query', { authorization: 'Bearer k' }, 200],
    ['/v1/%71uery', { authorization: 'Bearer k' }, 200],
    ['/livez', {}, 200],
    ['/nothing', {}, 404],
  ])('it answers %s with %j by %d', async (path, headers, status) => {
    expect((await fetch(url + path, { headers })).status).toBe(status)
  })
})
