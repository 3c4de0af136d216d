import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  clickHouseClient,
  event,
  freePort,
  hitId,
  type Product,
  pageView,
  postHits,
  query,
  startProduct,
  waitUntil,
} from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const run = promisify(execFile)
const ADMIN_KEY = 'operators-own'

/** Path of a command, '' where there is none. */
const which = async (command: string): Promise<string> =>
  run('sh', ['-c', `command -v ${command}`]).then(
    ({ stdout }) => stdout.trim(),
    () => '',
  )
const curl = await which('curl')
const python = await which('python3')

const page = readFileSync(new URL('../../docs/sql.md', import.meta.url), 'utf8')
/** Blocks that begin with ```sql, and how they end: `refused` behind it, or nothing. */
const examples = [...page.matchAll(/```sql ?(\w*)\n([\s\S]*?)```/g)].map(([, mark, sql]) => ({
  mark: mark!,
  sql: sql!,
}))

describe('clients connect unchanged', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sql-'))
  let product: Product
  let sqlPort: number

  beforeAll(async () => {
    sqlPort = await freePort()
    const env = { MILLRACE_SQL_PORT: String(sqlPort), MILLRACE_ADMIN_KEY: ADMIN_KEY }
    product = startProduct({ dataDir: join(folder, 'data'), port: await freePort(), env })
    await product.ready()
    const hits = Array.from({ length: 20 }, (_, i) =>
      pageView({ url: `https://example.com/${i % 4}`, hit_id: hitId(i) }),
    )
    await postHits(product.url, {
      hits: [...hits, event({ name: "it's", value: 12.5 })].map((hit) => ({ ...hit, site: 'blog' })),
    })
    await waitUntil('the hits are counted', async () => (await curlSql('SELECT count() FROM hits')) === '21\n')
  })
  afterAll(async () => {
    await product?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  async function curlSql(sql: string): Promise<string> {
    const response = await fetch(`${product.url}/v1/sql`, {
      method: 'POST',
      headers: { authorization: `Bearer ${ADMIN_KEY}` },
      body: sql,
    })
    return response.text()
  }

  test.each(['at /clickhouse of the one port', 'at the root of MILLRACE_SQL_PORT'])(
    '@clickhouse/client %s',
    async (where) => {
      const url = where.includes('root') ? `http://127.0.0.1:${sqlPort}` : product.url
      const client = clickHouseClient({
        url,
        ...(url === product.url && { pathname: '/clickhouse' }),
        ...{ username: 'anybody', password: ADMIN_KEY, database: 'analytics' },
        compression: { response: true },
      })
      try {
        expect(await client.ping()).toEqual({ success: true })
        const rows = await client.query({
          query: 'SELECT path, count() AS n FROM page_views WHERE path != {not:String} GROUP BY path ORDER BY path',
          query_params: { not: '/3' },
          format: 'JSONEachRow',
        })
        expect(rows.response_headers['x-clickhouse-format']).toBe('JSONEachRow')
        expect(await rows.json()).toEqual(['/0', '/1', '/2'].map((path) => ({ path, n: 5 })))
        const whole = await client.query({ query: 'SELECT event_name, value FROM events', format: 'JSON' })
        expect(await whole.json()).toMatchObject({ rows: 1, data: [{ event_name: "it's", value: 12.5 }] })
        await expect(client.query({ query: 'SELECT * FROM millrace.hits' })).rejects.toMatchObject({
          code: '497',
          type: 'ACCESS_DENIED',
        })
        await expect(client.command({ query: 'DROP TABLE hits' })).rejects.toMatchObject({
          code: '164',
          type: 'READONLY',
        })
        const wrong = clickHouseClient({ url: `http://127.0.0.1:${sqlPort}`, password: 'wrong' })
        await expect(wrong.query({ query: 'SELECT 1' })).rejects.toMatchObject({ code: '516' })
        await wrong.close()
      } finally {
        await client.close()
      }
    },
  )

  test('docs/sql.md has examples of both kinds', () => {
    expect(new Set(examples.map(({ mark }) => mark))).toEqual(new Set(['', 'refused']))
  })

  test.each(examples)('the example of docs/sql.md $mark: $sql', async ({ mark, sql }) => {
    const text = await curlSql(sql)
    if (mark === 'refused') expect(text).toContain('"sql_not_allowed"')
    else expect(text).not.toContain('urn:millrace:error')
  })

  test.skipIf(!curl)(`curl${curl ? '' : ' (skipped: there is no curl here)'}`, async () => {
    const say = async (...args: string[]) => (await run(curl, ['-sS', ...args])).stdout
    const root = `http://127.0.0.1:${sqlPort}/`
    expect(await say(`${root}ping`)).toContain('Code: 516.')
    expect(await say('-u', `default:${ADMIN_KEY}`, `${root}ping`)).toBe('Ok.\n')
    expect(await say('-u', `default:${ADMIN_KEY}`, root, '-d', 'SELECT count() FROM hits')).toBe('21\n')
    expect(await say('-H', `X-ClickHouse-Key: ${ADMIN_KEY}`, `${root}?query=SELECT%201`)).toBe('1\n')
    const v1 = `${product.url}/v1/sql?param_s=blog`
    const key = `authorization: Bearer ${ADMIN_KEY}`
    const sql = 'SELECT site, count() AS hits FROM hits WHERE site = {s:String} GROUP BY site FORMAT CSVWithNames'
    expect(await say('-H', key, v1, '--data-binary', sql)).toBe('"site","hits"\n"blog",21\n')
    expect(
      await say('--compressed', '-H', key, `${product.url}/clickhouse/?enable_http_compression=1`, '-d', 'SELECT 2'),
    ).toBe('2\n')
    expect(await say('-i', '-H', key, `${product.url}/clickhouse/`, '-d', 'SELEC')).toMatch(
      /^HTTP\/1\.1 400 [\s\S]*x-clickhouse-exception-code: 62/i,
    )
  })

  test("Python's clickhouse-connect", async (context) => {
    if (!python) return context.skip('there is no python3 here')
    const venv = join(folder, 'venv')
    try {
      await run(python, ['-m', 'venv', venv], { timeout: 120_000 })
      await run(join(venv, 'bin', 'pip'), ['install', '--quiet', 'clickhouse-connect>=0.8,<2'], { timeout: 300_000 })
    } catch (error) {
      return context.skip(`clickhouse-connect cannot be installed here: ${(error as Error).message.slice(0, 300)}`)
    }
    const program = join(folder, 'ask.py')
    writeFileSync(program, PYTHON)
    const { stdout } = await run(join(venv, 'bin', 'python'), [program, String(sqlPort), ADMIN_KEY], {
      timeout: 120_000,
    })
    expect(JSON.parse(stdout)).toEqual({
      ping: true,
      rows: [
        ['/0', 5],
        ['/1', 5],
        ['/2', 5],
      ],
      named: ["it's", '12.5'],
      columns: ['site', 'hits'],
      refused: true,
      readonly: true,
    })
  }, 600_000)
})

const PYTHON = `
import json, sys
import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

client = clickhouse_connect.get_client(host='127.0.0.1', port=int(sys.argv[1]), username='anybody', password=sys.argv[2])

def refused(sql, code):
    try:
        client.query(sql)
    except DatabaseError as error:
        return code in str(error)
    return False

rows = client.query(
    'SELECT path, count() AS n FROM page_views WHERE path != %(not)s GROUP BY path ORDER BY path', parameters={'not': '/3'})
named = client.query('SELECT event_name, toString(value) FROM events WHERE event_name = {name:String}', parameters={'name': "it's"})
print(json.dumps({
    'ping': client.ping(),
    'rows': [list(row) for row in rows.result_rows],
    'named': list(named.result_rows[0]),
    'columns': list(client.query('SELECT site, count() AS hits FROM analytics.hits GROUP BY site').column_names),
    'refused': refused('SELECT * FROM millrace.hits', '497'),
    'readonly': refused('SELECT * FROM (SELECT 1) SETTINGS max_threads = 8', '164'),
}))
`

describe('a crash while SQL runs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-sql-crash-'))
  const dataDir = join(folder, 'data')
  const started: Product[] = []
  afterAll(async () => {
    await Promise.all(started.map((product) => product.kill()))
    rmSync(folder, { recursive: true, force: true })
  })

  test('loses nothing: every answered hit is counted after the restart, once', async () => {
    const port = await freePort()
    const launch = async (): Promise<Product> => {
      const product = startProduct({ dataDir, port })
      started.push(product)
      await product.ready()
      return product
    }
    const HEAVY = 'SELECT sum(cityHash64(a.number)) FROM numbers(1000000000000) AS a'
    let answered = 0
    for (let round = 0; round < 3; round++) {
      const product = await launch()
      const heavy = fetch(`${product.url}/v1/sql`, { method: 'POST', body: HEAVY }).then(
        ({ status }) => status,
        () => 'cut',
      )
      const small = fetch(`${product.url}/v1/sql`, { method: 'POST', body: 'SELECT count() FROM hits' }).catch(
        () => 'cut',
      )
      for (let i = 0; i < 40; i++) {
        const hits = Array.from({ length: 25 }, (_, n) =>
          pageView({ site: 'blog', url: `https://example.com/${round}/${i}/${n}` }),
        )
        const answer = await postHits(product.url, { hits })
        expect(answer.status).toBe(202)
        answered += 25
      }
      await product.kill()
      expect(await heavy).toBe('cut') // it ran when the process died
      await small
    }
    const product = await launch()
    const counted = async () =>
      (await query(product.url, { site: 'blog', period: '24h', metrics: ['page_views'], include_bots: true })).totals
        .page_views
    await waitUntil('all are counted', async () => (await counted()) === answered, 60_000)
    const ledger = await waitUntil('nothing waits', async () => {
      const body = await (await fetch(`${product.url}/v1/ledger`)).json()
      const { balance } = body as { balance: { partitions: { waiting_records: number }[] } }
      return balance.partitions.every((p) => p.waiting_records === 0) ? (body as Record<string, unknown>) : null
    })
    expect(ledger).toMatchObject({ totals: { hits: answered, kept: answered }, balance: { balanced: true } })
  }, 240_000)
})
