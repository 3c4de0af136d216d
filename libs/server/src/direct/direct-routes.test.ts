import { type FastifyInstance, fastify } from 'fastify'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../create-logger.ts'
import { createServer, type Server } from '../create-server.ts'
import { DirectRoutes } from './direct-routes.ts'
import { ECHO } from './echo.fixture.ts'

describe('a direct route of a server', () => {
  let server: Server
  let url: string
  beforeEach(async () => {
    server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
    server.direct.add('POST', '/fast', ECHO)
    url = await server.listen()
  })
  afterEach(() => server.close())

  it.each(['/fast', '/fast?a=b', '/f%61st', '/fast?'])('it answers at %s, whatever the body', async (path) => {
    for (const type of ['application/json', 'image/png']) {
      const response = await fetch(url + path, { method: 'POST', headers: { 'content-type': type }, body: '{é' })
      expect([response.status, response.headers.get('x-own')]).toEqual([202, 'yes'])
      expect(await response.json()).toMatchObject({ body: '{é', httpVersion: '1.1', remoteAddress: '127.0.0.1' })
    }
  })

  it.each(['/fast', '/fast?'])('it refuses a body that is too large at %s', async (path) => {
    const response = await fetch(url + path, { method: 'POST', body: 'x'.repeat(1_001) })
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([413, 'body_too_large'])
  })

  it('it leaves other methods and addresses to the framework', async () => {
    const wrong = await fetch(`${url}/fast`)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'POST'])
    expect((await fetch(`${url}/fast/er`, { method: 'POST' })).status).toBe(404)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
  })
})

describe('DirectRoutes', () => {
  let app: FastifyInstance
  let direct: DirectRoutes
  let url: string
  beforeEach(async () => {
    app = fastify()
    direct = new DirectRoutes(app)
    direct.add('POST', '/fast', ECHO)
    url = await app.listen({ host: '127.0.0.1', port: 0 })
  })
  afterEach(() => app.close())

  it.each(['/fast', '/fast?'])('it keeps connections to %s open until it is closed, and then no more', async (path) => {
    const send = async (): Promise<string | null> =>
      (await fetch(url + path, { method: 'POST', body: 'x' })).headers.get('connection')
    expect(await send()).toBe('keep-alive')
    direct.close()
    expect(await send()).toBe('close')
  })
})
