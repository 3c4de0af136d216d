import { request } from 'node:http'
import { gunzipSync, gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type SqlServer, startSqlServer } from './sql-server.fixture.ts'

const KEYS = {
  sql_key: { scopes: ['sql'], sites: [] },
  read_key: { scopes: ['read'], sites: [] },
  site_key: { scopes: ['sql'], sites: ['blog'] },
}
const BEARER = { authorization: 'Bearer sql_key' }
const basic = (password: string) => `Basic ${Buffer.from(`default:${password}`).toString('base64')}`

describe("ClickHouse's HTTP dialect, and /v1/sql", () => {
  let server: SqlServer
  beforeAll(async () => {
    server = await startSqlServer({ adminKey: 'admin', keys: KEYS, queue: { atOnce: 1, waiting: 1, waitMs: 60_000 } })
  })
  afterAll(() => server?.close())

  const ask = (path: string, init: RequestInit = {}) => fetch(server.url + path, { headers: BEARER, ...init })

  test('it answers with the headers that clients read', async () => {
    const response = await ask('/clickhouse/?query_id=mine-1&default_format=JSONEachRow', {
      method: 'POST',
      body: 'SELECT 1 AS x',
    })
    expect(await response.text()).toBe('{"x":1}\n')
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': 'application/x-ndjson; charset=UTF-8',
      'x-clickhouse-query-id': 'mine-1',
      'x-clickhouse-format': 'JSONEachRow',
      'x-clickhouse-timezone': server.console.timezone,
      'x-clickhouse-server-display-name': 'millrace',
    })
    expect(JSON.parse(response.headers.get('x-clickhouse-summary')!)).toMatchObject({
      read_rows: '1',
      result_bytes: '8',
    })
  })

  test.each(['/clickhouse/ping', '/clickhouse/', '/clickhouse'])('it says Ok. at %s', async (path) => {
    expect(await (await ask(path)).text()).toBe('Ok.\n')
  })

  test.each([
    ['GET', `/clickhouse?query=${encodeURIComponent('SELECT 1')}`, undefined],
    ['POST', `/clickhouse/?query=${encodeURIComponent('SELECT')}`, '1'],
    ['POST', '/clickhouse/?database=default&session_id=x&wait_end_of_query=1&max_execution_time=0', 'SELECT 1'],
    ['POST', '/v1/sql', 'SELECT 1'],
    ['POST', '/v1/sql?param_x=1', 'SELECT {x:UInt8}'],
  ])('it takes the statement of %s %s', async (method, path, body) => {
    const response = await ask(path, { method, ...(body !== undefined && { body }) })
    expect(await response.text()).toBe('1\n')
  })

  test('it takes a compressed statement and answers compressed', async () => {
    const answer = await new Promise<{ encoding: unknown; body: Buffer }>((resolve, reject) => {
      const headers = { ...BEARER, 'content-encoding': 'gzip', 'accept-encoding': 'zstd, gzip;q=0.5' }
      const sent = request(
        `${server.url}/clickhouse/?enable_http_compression=1`,
        { method: 'POST', headers },
        async (got) => {
          const chunks: Buffer[] = []
          for await (const chunk of got) chunks.push(chunk as Buffer)
          resolve({ encoding: got.headers['content-encoding'], body: Buffer.concat(chunks) })
        },
      )
      sent.on('error', reject).end(gzipSync('SELECT number FROM numbers(1000)'))
    })
    expect(answer.encoding).toBe('gzip')
    expect(gunzipSync(answer.body).toString().split('\n')).toHaveLength(1001)
  })

  test('it takes parameters from a form', async () => {
    const form = new FormData()
    form.set('query', 'SELECT {x:String}')
    form.set('param_x', 'long')
    expect(await (await ask('/clickhouse/', { method: 'POST', body: form })).text()).toBe('long\n')
  })

  test.each([
    ['a key as Bearer', { authorization: 'Bearer sql_key' }, '', 200],
    ["the operator's key", { authorization: 'Bearer admin' }, '', 200],
    ['a key as the password of Basic', { authorization: basic('sql_key') }, '', 200],
    ['a key as X-ClickHouse-Key', { 'x-clickhouse-user': 'default', 'x-clickhouse-key': 'sql_key' }, '', 200],
    ['a key in the URL', {}, '?password=sql_key', 200],
    ['no key', {}, '', 401],
    ['a user without password', { authorization: basic('') }, '', 401],
    ['a wrong key', { authorization: basic('x') }, '', 401],
    ['a key without the scope', { authorization: 'Bearer read_key' }, '', 403],
    ['a key for some sites', { authorization: 'Bearer site_key' }, '', 403],
    ['a page of another origin', { ...BEARER, 'sec-fetch-site': 'cross-site' }, '', 403],
  ])('it looks at %s', async (_title, headers, search, status) => {
    const response = await fetch(`${server.url}/clickhouse/${search}`, {
      method: 'POST',
      headers: headers as Record<string, string>,
      body: 'SELECT 1',
    })
    const text = await response.text()
    expect(response.status, text).toBe(status)
    const code = status === 401 ? '516' : status === 403 ? '497' : null
    expect(response.headers.get('x-clickhouse-exception-code')).toBe(code)
    if (code) expect(text).toMatch(new RegExp(`^Code: ${code}\\. DB::Exception: .* \\([A-Z_]+\\) \\(version .*\\)\\n$`))
  })

  test('it says why a key for some sites is not enough', async () => {
    const response = await ask('/v1/sql', {
      method: 'POST',
      headers: { authorization: 'Bearer site_key' },
      body: 'SELECT 1',
    })
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({
      code: 'forbidden',
      detail: expect.stringContaining('some sites only'),
    })
  })

  test.each([
    ['SELEC 1', 400, '62', 'sql_invalid'],
    ['SELECT nope FROM hits', 404, '47', 'sql_invalid'],
    ['SELECT * FROM nope', 404, '60', 'sql_invalid'],
    ['SELECT {x:UInt8}', 400, '456', 'sql_invalid'],
    ['DROP TABLE hits', 403, '164', 'sql_not_allowed'],
    ['SELECT * FROM millrace.hits', 403, '497', 'sql_not_allowed'],
    ['SELECT 1 FORMAT Nope', 404, '73', 'sql_invalid'],
    ['', 400, '62', 'sql_invalid'],
    [`SELECT '${'x'.repeat(130 * 1024)}'`, 413, '443', 'sql_invalid'],
  ])('it tells what is wrong with %.40s', async (sql, status, code, ours) => {
    const theirs = await ask('/clickhouse/?', { method: 'POST', body: sql })
    expect([theirs.status, theirs.headers.get('x-clickhouse-exception-code')]).toEqual([status, code])
    expect(await theirs.text()).toMatch(new RegExp(`^Code: ${code}\\. DB::Exception: `))
    const problem = await ask('/v1/sql', { method: 'POST', body: sql })
    expect(await problem.json()).toMatchObject({ code: ours })
    expect(problem.headers.get('x-clickhouse-exception-code')).toBe(code)
  })

  test.each([
    ['rows', 'SELECT number FROM numbers(2000000)', '', '396'],
    ['rows that the client counts', 'SELECT number FROM numbers(20)', '?max_result_rows=10', '396'],
    ['bytes', "SELECT materialize(repeat('x', 1000000)) FROM numbers(200)", '', '396'],
    ['bytes of a constant', "SELECT repeat('x', 100000) FROM numbers(900000)", '', '241'],
    ['memory', 'SELECT length(groupArray(number)) FROM numbers(1000000000)', '', '241'],
    ['time', 'SELECT sum(cityHash64(number)) FROM numbers(1000000000000)', '?max_execution_time=1', '159'],
  ])('it ends a statement that needs too many %s', async (_what, sql, search, code) => {
    const response = await ask(`/v1/sql${search}`, { method: 'POST', body: sql })
    expect(response.headers.get('x-clickhouse-exception-code')).toBe(code)
    expect([response.status, ((await response.json()) as { code: string }).code]).toEqual([422, 'query_too_large'])
  })

  test('what a statement had written before it failed does not come out with the next', async () => {
    await ask('/v1/sql', { method: 'POST', body: 'SELECT number FROM numbers(2000000)' })
    expect(await (await ask('/v1/sql', { method: 'POST', body: "SELECT 'clean'" })).text()).toBe('clean\n')
  })

  test('a few wait, others are refused, and one whose client goes away is ended', async () => {
    const controller = new AbortController()
    const running = async () => {
      const sql =
        "SELECT count() AS n FROM system.processes WHERE query LIKE '%1234567890123%' AND query NOT LIKE '%processes%'"
      return Number((await server.store.query<{ n: string }>(sql))[0]!.n)
    }
    const heavy = {
      method: 'POST',
      body: 'SELECT sum(cityHash64(number)) FROM numbers(1234567890123)',
      signal: controller.signal,
    }
    const first = ask('/clickhouse/', heavy).catch((error: Error) => error.name)
    await expect.poll(running, { timeout: 20_000 }).toBe(1)
    const others = ['SELECT 2', 'SELECT 2'].map((body) => ask('/clickhouse/', { method: 'POST', body }))
    const refused = await Promise.race(others)
    expect([refused.status, refused.headers.get('x-clickhouse-exception-code')]).toEqual([429, '202'])
    expect(refused.headers.get('retry-after')).toBe('2')
    controller.abort()
    expect(await first).toBe('AbortError')
    expect((await Promise.all(others)).map(({ status }) => status).sort()).toEqual([200, 429])
    await expect.poll(running, { timeout: 20_000 }).toBe(0)
  })
})
