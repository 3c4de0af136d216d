import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { openEmbeddedLog } from '@millrace/log'
import { SALTS, TOPICS } from '@millrace/shared'
import { openStore } from '@millrace/store'
import { addSites, pageView, query, waitUntil } from '@millrace/testing'
import { afterAll, describe, expect, test } from 'vitest'
import { type MovableProduct, startMovableProduct } from './movable-product/start-movable-product.ts'

const HOUR_MS = 3_600_000

/** Visitors whose traces are looked for. Two agents say nothing that a browser says, so that all of them is their own. */
const VISITORS = [
  {
    ip: '203.0.113.77',
    agent:
      'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36 Trace4d1f07',
  },
  { ip: '198.51.100.201', agent: 'Tracer9ab3c2/7.13 (Contraption; u5e88)' },
  { ip: '2001:db8:77:1::beef', agent: 'libtrace-f0e1d2/1.0' },
]
const USER = 'member-c81e728d'
const DEAD_IP = '192.0.2.213'
/** Of those that come by the address and the agent in bytes. */
const TRACES = [
  ...VISITORS.flatMap(({ ip, agent }) => [ip, agent]),
  ...['Trace4d1f07', 'Tracer9ab3c2', 'u5e88', 'libtrace-f0e1d2', '2001:db8:77:1:'],
  USER,
  DEAD_IP,
]
/** Something that stays: what finds it would find the others. */
const KEPT_PATH = '/kept-path-8b1a9953'

const folder = mkdtempSync(join(tmpdir(), 'millrace-privacy-'))
const dataDir = join(folder, 'data')
const lives: MovableProduct[] = []

afterAll(() => {
  for (const product of lives) product.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function start(startAt: number, unreadable = ''): Promise<MovableProduct> {
  const settings = { MILLRACE_LOG_LEVEL: 'trace', MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' }
  const product = await startMovableProduct({ dataDir, startAt, settings, unreadable })
  lives.push(product)
  return product
}

async function send(url: string, body: object, headers: Record<string, string>): Promise<number> {
  const init = {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  }
  return (await fetch(`${url}/v1/hits`, init)).status
}

/** All files below a folder. What goes while it is read, as parts of the store do, is left out. */
function filesBelow(folder: string): string[] {
  const entries = unlessGone(() => readdirSync(folder, { withFileTypes: true })) ?? []
  return entries.flatMap((entry) => {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) return filesBelow(path)
    return entry.isFile() ? [path] : []
  })
}

function unlessGone<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Files below the data folder that hold one of `traces`, with it. A file that goes while it is read holds nothing. */
function filesWith(traces: readonly (string | Buffer)[]): string[] {
  return filesBelow(dataDir).flatMap((path) => {
    const bytes = unlessGone(() => readFileSync(path))
    const found = traces.filter((trace) => bytes?.includes(trace))
    return found.map((trace) => `${relative(dataDir, path)}: ${String(trace)}`)
  })
}

/** Columns with text in all tables of ours that hold one of `traces`. Files of the store are compressed: this is not. */
async function columnsWith(traces: readonly string[]): Promise<string[]> {
  const store = await openStore({ dataDir })
  const columns = await store.query<{ table: string; name: string }>(
    `SELECT table, name FROM system.columns
WHERE database = 'millrace' AND type LIKE '%String%' AND type NOT LIKE '%AggregateFunction%'
  AND table IN (SELECT name FROM system.tables WHERE database = 'millrace' AND engine LIKE '%MergeTree%')`,
  )
  const found: string[] = []
  for (const { table, name } of columns) {
    const sql = `SELECT count() AS n FROM millrace.\`${table}\` WHERE multiSearchAny(toString(\`${name}\`), {traces:Array(String)})`
    const [{ n }] = (await store.query<{ n: string }>(sql, { params: { traces } })) as [{ n: string }]
    if (Number(n) > 0) found.push(`${table}.${name}`)
  }
  await store.close()
  return found
}

async function saltsOf(startAt: number): Promise<Buffer[]> {
  const clock = new Float64Array(new SharedArrayBuffer(8))
  clock[0] = startAt
  const log = await openEmbeddedLog({
    dir: join(dataDir, 'log'),
    topics: TOPICS,
    hitPartitions: 4,
    clock,
    retentionHeld: true,
  })
  const reader = log.reader()
  const salts: Buffer[] = []
  for await (const records of reader.read(SALTS.name, 0, 0, 1_000)) salts.push(...records.map(({ value }) => value!))
  await reader.close()
  await log.close()
  return salts
}

describe('what is kept of a visitor', () => {
  const startAt = Date.now()
  let salts: Buffer[]

  test('addresses and agents are in the log when hits come in, and in no column and no line', async () => {
    const product = await start(startAt, `{"v":1,"ip":"${DEAD_IP}",\n`)
    const { url } = product
    await addSites(url, ['blog'])
    const json = { 'content-type': 'application/json' }
    await fetch(`${url}/v1/sites/blog`, { method: 'PATCH', headers: json, body: '{"user_ids": true}' })
    const made = await fetch(`${url}/v1/keys`, { method: 'POST', headers: json, body: '{"scopes": ["ingest"]}' })
    const { key } = (await made.json()) as { key: string }

    const view = pageView({ site: 'blog', url: `https://example.com${KEPT_PATH}` })
    for (const { ip, agent } of VISITORS) {
      const own = { 'x-forwarded-for': ip, 'user-agent': agent }
      expect(await send(url, view, own)).toBe(202)
      expect(await send(url, { ...view, site: 'nobody' }, own)).toBe(404)
      expect(await send(url, { ...view, colour: ip, title: agent }, own)).toBe(400)
      const byKey = { ...view, ip, user_agent: agent, user: USER }
      expect(await send(url, byKey, { authorization: `Bearer ${key}` })).toBe(202)
      await fetch(`${url}/nothing?${ip}=${encodeURIComponent(agent)}`, { headers: own })
    }
    const asked = { site: 'blog', period: '7d', metrics: ['page_views', 'visitors'], include_bots: true }
    await waitUntil('all hits are counted', async () => (await query(url, asked)).totals.page_views === 6 || null)
    // Three by address and agent, one by the id of the sender.
    expect((await query(url, asked)).totals).toEqual({ page_views: 6, visitors: 4 })

    const found = filesWith(TRACES)
    for (const trace of TRACES) {
      const inLog = found.filter((line) => line.endsWith(`: ${trace}`))
      expect(inLog.length, trace).toBeGreaterThan(0)
      expect(
        inLog.every((line) => line.startsWith('log/topics/hits.raw') || line.startsWith('log/topics/hits.dead')),
        inLog.join('\n'),
      ).toBe(true)
    }
    expect(found.some((line) => line.startsWith('log/topics/hits.dead'))).toBe(true)
    await product.stop()
    expect(await columnsWith([KEPT_PATH])).toContain('hits.path')
    expect(await columnsWith(TRACES)).toEqual([])
    salts = await saltsOf(startAt)
    expect(salts.length).toBeGreaterThan(0)
    expect(filesWith(salts).length).toBeGreaterThanOrEqual(salts.length)
  })

  test('54 hours later no file holds them, and salts are gone within 5 days', async () => {
    const product = await start(startAt + HOUR_MS)
    product.setClock(startAt + 54 * HOUR_MS)
    await waitUntil('no file holds a trace', async () => filesWith(TRACES).length === 0 || null, 60_000)
    expect(filesWith(salts).length).toBeGreaterThan(0)
    product.setClock(startAt + 5 * 24 * HOUR_MS)
    await waitUntil('no file holds a salt', async () => filesWith(salts).length === 0 || null, 60_000)
    // It still works, with salts of another day.
    expect(await send(product.url, pageView({ site: 'blog' }), { 'x-forwarded-for': '203.0.113.78' })).toBe(202)
    await product.stop()
    expect(filesWith(TRACES)).toEqual([])
    expect(await columnsWith(TRACES)).toEqual([])
  })

  test('no line of the log ever named one', () => {
    const written = lives.map((product) => product.written()).join('')
    expect(written).toContain('site added')
    expect(TRACES.filter((trace) => written.includes(trace))).toEqual([])
  })
})
