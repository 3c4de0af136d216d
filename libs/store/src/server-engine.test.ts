import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Engine, InsertStatement } from './engine.ts'
import { openServerEngine } from './server-engine.ts'
import { StoreRefused, StoreUnavailable } from './store.ts'

interface Seen {
  readonly authorization: string | undefined
  readonly params: URLSearchParams
  readonly body: Buffer
}

/** What goes over HTTP. That a ClickHouse understands it is the contract suite's matter. */
describe('the engine of a server', () => {
  const seen: Seen[] = []
  let answer: (request: IncomingMessage, response: ServerResponse) => void
  let server: Server
  let engine: Engine
  let port: number

  beforeEach(async () => {
    seen.length = 0
    answer = (_, response) => response.end()
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk as Buffer)
      const { searchParams } = new URL(request.url!, 'http://x')
      seen.push({ authorization: request.headers.authorization, params: searchParams, body: Buffer.concat(chunks) })
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
    engine = openServerEngine({ url: `http://u%40:p%3A@127.0.0.1:${port}/millrace`, requestTimeoutMs: 500 })
  })
  afterEach(async () => {
    await engine.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  const statement: InsertStatement = {
    into: 'millrace.hits_in (`a`)',
    columns: '`a`',
    structure: "`a` Enum8('x' = 1)",
    select: null,
    settings: { insert_deduplication_token: '', async_insert: 0, log_comment: 'flush=1' },
  }
  const running = new AbortController().signal

  it('sends blocks as they are, with every setting, also an empty one', async () => {
    const blocks = [Buffer.from([0, 255, 10]), Buffer.from([39, 13])]
    await engine.insert(statement, blocks, running)
    const [{ params, body, authorization }] = seen as [Seen]
    expect(body).toEqual(Buffer.concat(blocks))
    expect(params.get('query')).toBe('INSERT INTO millrace.hits_in (`a`) FORMAT Native')
    expect(params.get('insert_deduplication_token')).toBe('')
    expect(params.get('async_insert')).toBe('0')
    expect(params.get('log_comment')).toBe('flush=1')
    expect(params.get('wait_end_of_query')).toBe('1')
    expect(authorization).toBe(`Basic ${Buffer.from('u@:p:').toString('base64')}`)
  })

  it('inserts through a SELECT over input()', async () => {
    await engine.insert({ ...statement, select: (from) => `SELECT a FROM ${from}` }, [Buffer.from('x')], running)
    expect(seen[0]!.params.get('query')).toBe(
      "INSERT INTO millrace.hits_in (`a`) SELECT a FROM input('`a` Enum8(\\'x\\' = 1)') FORMAT Native",
    )
  })

  it('needs no database to exist', async () => {
    await engine.command('CREATE DATABASE millrace', {})
    expect(seen[0]!.params.get('database')).not.toBe('millrace')
    expect(() => openServerEngine({ url: 'http://h:8123/other', requestTimeoutMs: 1 })).toThrow(/must be millrace/)
  })

  it('reads rows, with parameters bound outside of the text', async () => {
    answer = (_, response) => response.end('{"a":1}\n{"a":2}\n')
    expect(await engine.query('SELECT {x:String} AS a', { params: { x: `'a\n` } })).toEqual([{ a: 1 }, { a: 2 }])
    expect(seen[0]!.params.get('param_x')).toBe(`\\'a\\n`)
    expect(seen[0]!.body.toString()).not.toContain(`'a`)
  })

  const refusal =
    'Code: 469. DB::Exception: Constraint is violated. Column values: secret. (VIOLATED_CONSTRAINT) (version 26.7)'
  it('tells what the server refused', async () => {
    answer = (_, response) => response.writeHead(500, { 'X-ClickHouse-Exception-Code': '469' }).end(refusal)
    const error = await engine.insert(statement, [Buffer.from('x')], running).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(StoreRefused)
    expect(error).toMatchObject({ code: 469, type: 'VIOLATED_CONSTRAINT' })
    expect((error as Error).message).not.toContain('secret')
  })

  it.each<[string, (request: IncomingMessage, response: ServerResponse) => void]>([
    ['cuts the connection', (request) => request.socket.destroy()],
    ['does not answer in time', () => undefined],
    ['is something else in its place', (_, response) => response.writeHead(502).end('<html>Bad gateway</html>')],
    ['answers an insert with text', (_, response) => response.end('surprise')],
  ])('throws StoreUnavailable when the server %s', async (_, behaviour) => {
    answer = behaviour
    await expect(engine.insert(statement, [Buffer.from('x')], running)).rejects.toThrow(StoreUnavailable)
  })

  it('throws StoreUnavailable when nobody listens', async () => {
    const nobody = openServerEngine({ url: 'http://127.0.0.1:1', requestTimeoutMs: 500 })
    await expect(nobody.query('SELECT 1', {})).rejects.toThrow(StoreUnavailable)
    await nobody.close()
  })
})
