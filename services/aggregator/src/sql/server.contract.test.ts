import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { type ClickHouseServer, startClickHouseServer } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { CANARY, type SqlServer, startSqlServer } from './sql-server.fixture.ts'

describe('SQL on a ClickHouse server', () => {
  let dir: string
  let clickhouse: ClickHouseServer
  let server: SqlServer
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'millrace-sql-server-'))
    clickhouse = await startClickHouseServer({ dir, user: 'writer', password: 'p@ss' })
    const url = clickhouse.url.replace('http://', 'http://writer:p%40ss@')
    server = await startSqlServer({ clickhouse: `${url}/millrace` })
  })
  afterAll(async () => {
    await server?.close()
    await clickhouse?.stop()
    await rm(dir, { recursive: true, force: true })
  })

  const ask = async (body: string, search = '') => {
    const response = await fetch(`${server.url}/clickhouse/${search}`, { method: 'POST', body })
    return { code: response.headers.get('x-clickhouse-exception-code'), text: await response.text() }
  }

  test.each([
    ['SELECT 1 FORMAT JSONEachRow', '', '{"1":1}\n'],
    ["SELECT {x:String}, 'a\\'b'", '?param_x=c%5Ctd', "c\\td\ta\\'b\n"],
    ['SELECT count() > 0 FROM hits', '', '1\n'],
    ['WITH x AS (SELECT site FROM sessions) SELECT DISTINCT site FROM x', '?default_format=CSV', '"blog"\n'],
    ['SHOW TABLES', '', 'events\nhits\nledger\npage_views\nsessions\n'],
    ['SELECT name FROM system.databases', '', 'analytics\n'],
  ])('it answers %s', async (sql, search, expected) => {
    expect(await ask(sql, search)).toEqual({ code: null, text: expected })
  })

  test('it passes a large answer on as it comes, compressed if the client likes', async () => {
    const sql = "SELECT number, repeat('x', 1000) FROM numbers(20000) FORMAT TSV"
    const expected = Array.from({ length: 20_000 }, (_, n) => `${n}\t${'x'.repeat(1000)}\n`).join('')
    const session = await server.console.open({ params: new Map(), settings: {} })
    const { body, resultBytes } = await session.run(sql.replace(' FORMAT TSV', ''), 'TSV', AbortSignal.timeout(60_000))
    expect(body).toBeInstanceOf(Readable)
    expect(resultBytes).toBe(expected.length)
    for await (const _ of body);
    expect((await ask(sql)).text === expected).toBe(true)
    const compressed = await fetch(`${server.url}/clickhouse/?enable_http_compression=1`, {
      ...{ method: 'POST', body: sql, headers: { 'accept-encoding': 'gzip' } },
    })
    expect(compressed.headers.get('content-encoding')).toBe('gzip')
    expect((await compressed.text()) === expected).toBe(true)
  })

  test.each([
    ['SELECT * FROM millrace.secrets', '497'],
    ["SELECT file('/etc/passwd')", '497'],
    ["SELECT 1 INTO OUTFILE 'x'", '164'],
    ['SELECT 1 SETTINGS readonly = 0', '164'],
    ['SELECT 1; SELECT * FROM millrace.secrets', '62'],
    ['DROP TABLE millrace.secrets', '164'],
    ['SELECT number FROM numbers(2000000)', '396'],
    ['SELECT nope', '47'],
  ])('it refuses %s', async (sql, code) => {
    const answer = await ask(sql)
    expect(answer.code, answer.text).toBe(code)
    expect(answer.text).not.toContain(CANARY)
  })
})
