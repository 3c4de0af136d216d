import { once } from 'node:events'
import { connect } from 'node:net'
import { MillraceError } from '@millrace/shared'
import { afterEach, describe, expect, it } from 'vitest'
import { createLogger } from './create-logger.ts'
import { createServer, type Server } from './create-server.ts'

let server: Server
let url: string
const lines: string[] = []

async function start(extraMetrics?: (() => Promise<string>)[]): Promise<void> {
  lines.length = 0
  const logger = createLogger('info', 'test', { write: (line) => void lines.push(line) })
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger, ...(extraMetrics && { extraMetrics }) })
  server.app.post('/things', (request, reply) => reply.send({ got: request.body }))
  server.app.post('/strict', { schema: { body: STRICT } }, (_request, reply) => reply.send({}))
  server.app.put('/things/:id', (_request, reply) => reply.send({}))
  server.app.get('/fails', () => {
    throw new Error('secret reason')
  })
  server.app.get('/full', () => {
    throw new MillraceError('overloaded', 'Too much.')
  })
  url = await server.listen()
}
const STRICT = {
  type: 'object',
  required: ['a'],
  additionalProperties: false,
  properties: { a: { type: 'number' } },
} as const

afterEach(() => server.close())

const json = { 'content-type': 'application/json' }

describe('errors', () => {
  it.each([
    ['GET', '/nothing', {}, undefined, 404, 'not_found'],
    ['POST', '/nothing', { 'content-type': 'image/png' }, 'x', 404, 'not_found'],
    ['GET', '/%zz', {}, undefined, 404, 'not_found'],
    ['GET', '/things', {}, undefined, 405, 'method_not_allowed'],
    ['DELETE', '/things?a=b', {}, undefined, 405, 'method_not_allowed'],
    ['PROPFIND', '/things', {}, undefined, 405, 'method_not_allowed'],
    ['GET', '/things/7', {}, undefined, 405, 'method_not_allowed'],
    ['POST', '/things', json, '{', 400, 'json_invalid'],
    ['POST', '/things', json, '', 400, 'json_invalid'],
    ['POST', '/things', json, '{"__proto__":{"a":1}}', 400, 'json_invalid'],
    ['POST', '/things', { 'content-type': 'application/xml' }, '<a/>', 415, 'media_type_unsupported'],
    ['POST', '/things', { 'content-type': 'not a type' }, '<a/>', 415, 'media_type_unsupported'],
    ['POST', '/things', json, `"${'x'.repeat(1 << 20)}"`, 413, 'body_too_large'],
    ['POST', '/strict', json, '{"a":"x"}', 400, 'field_invalid'],
    ['POST', '/strict', json, '{}', 400, 'field_missing'],
    ['GET', '/fails', {}, undefined, 500, 'internal'],
    ['GET', '/full', {}, undefined, 503, 'overloaded'],
  ])('it answers %s %s %j with a problem (%#)', async (method, path, headers, body, status, code) => {
    await start()
    const response = await fetch(url + path, { method, headers, ...(body !== undefined && { body }) })
    expect(response.status).toBe(status)
    expect(response.headers.get('content-type')).toBe('application/problem+json; charset=utf-8')
    const document = (await response.json()) as Record<string, unknown>
    expect(document).toMatchObject({ type: `urn:millrace:error:${code}`, status, code })
    expect(document.title).toBeTypeOf('string')
    expect(document.detail).toBeTypeOf('string')
  })

  it('it names the methods that an address has', async () => {
    await start()
    expect((await fetch(`${url}/things`)).headers.get('allow')).toBe('POST')
    expect((await fetch(`${url}/livez`, { method: 'POST' })).headers.get('allow')).toBe('GET, HEAD')
  })

  it('it says when to try again', async () => {
    await start()
    expect((await fetch(`${url}/full`)).headers.get('retry-after')).toBe('1')
  })

  it('it keeps the reason of a failure in its log, without the query string', async () => {
    await start()
    const answer = await (await fetch(`${url}/fails?token=abc`)).text()
    expect(answer).not.toContain('secret reason')
    expect(lines.join('')).toContain('secret reason')
    expect(lines.join('')).not.toContain('token=abc')
  })

  it.each([
    ['bytes that are not HTTP', 'hello\r\n\r\n', 400, 'request_invalid'],
    ['headers too large', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431, 'headers_too_large'],
  ])('it answers %s with a problem', async (_what, sent, status, code) => {
    await start()
    const answer = await exchange(sent)
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `))
    expect(answer).toContain('application/problem+json')
    expect(answer).toContain(`"code":"${code}"`)
  })
})

/** Writes bytes on a connection and reads until its end. */
async function exchange(sent: string): Promise<string> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  socket.write(sent)
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk
  })
  await once(socket, 'close')
  return received
}

describe('health', () => {
  it('it lives, and is ready while no part has a problem', async () => {
    await start()
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
    server.readiness.set('log', 'does not answer')
    server.readiness.set('store', null)
    server.notices.set('geo', async () => 'Data by somebody')
    server.notices.set('other', async () => '')
    const response = await fetch(`${url}/readyz`)
    expect(response.status).toBe(503)
    expect(await response.json()).toMatchObject({ code: 'not_ready', detail: 'log: does not answer' })
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({
      name: 'test',
      status: 'degraded',
      parts: { log: { ready: false, problem: 'does not answer' }, store: { ready: true, problem: null } },
      notices: { geo: 'Data by somebody' },
    })
    server.readiness.set('log', null)
    expect((await fetch(`${url}/readyz`)).status).toBe(200)
  })

  it('it shows its metrics and those of other threads', async () => {
    await start([async () => 'other_total 1', async () => 'third_total 2\n'])
    const text = await (await fetch(`${url}/metrics`)).text()
    expect(text).toContain('process_cpu_seconds_total')
    expect(text).toMatch(/\nother_total 1\nthird_total 2\n$/)
  })
})

describe('listen', () => {
  it('it says what to do about a port that is taken', async () => {
    await start()
    const { port } = new URL(url)
    const second = createServer({
      host: '127.0.0.1',
      port: Number(port),
      name: 'b',
      logger: createLogger('silent', 'b'),
    })
    await expect(second.listen()).rejects.toThrow(`127.0.0.1:${port} is in use by another process`)
    await second.close()
  })
})

describe('close', () => {
  it('it finishes the request in flight, on a connection that would stay open, and takes no other', async () => {
    await start()
    await server.close()
    let release = (): void => undefined
    let arrived = (): void => undefined
    const inHandler = new Promise<void>((resolve) => {
      arrived = resolve
    })
    const logger = createLogger('silent', 'test')
    server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger })
    server.app.get('/slow', async () => {
      arrived()
      await new Promise<void>((resolve) => {
        release = resolve
      })
      return { done: true }
    })
    url = await server.listen()
    const answer = fetch(`${url}/slow`)
    await inHandler
    const closed = server.close()
    release()
    expect(await (await answer).json()).toEqual({ done: true })
    await closed
    await expect(fetch(`${url}/livez`)).rejects.toThrow()
  })
})
