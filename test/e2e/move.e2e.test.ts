/** A standalone folder into Kafka and ClickHouse, by `millrace export` and `millrace import`. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type ClickHouseServer,
  freePort,
  hitId,
  type Product,
  postHits,
  query,
  type Ran,
  runMillrace,
  startClickHouseServer,
  startProduct,
  waitUntil,
} from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type KafkaCluster, missingTools, startKafka } from '../../infra/kafka/kafka.mjs'

const missing = await missingTools()
const skipped = missing !== null && !process.env.CI
if (skipped) console.warn(`moving is not tested: ${missing}`)

const dir = mkdtempSync(join(tmpdir(), 'millrace-move-'))
const [dataDir, folder] = [join(dir, 'data'), join(dir, 'export')]
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'

const millrace = (args: readonly string[], settings: Readonly<Record<string, string>>): Promise<Ran> =>
  runMillrace(args, { MILLRACE_LOG_LEVEL: 'warn', ...settings })

/** Page views of some visitors, told apart by their agents. */
async function visit(url: string, visitors: readonly number[], firstId: number): Promise<void> {
  for (const [n, visitor] of visitors.entries()) {
    const hits = ['/', '/pricing'].map((path, i) => ({
      hit_id: hitId(firstId + n * 10 + i),
      url: `https://example.com${path}`,
      referrer: visitor % 2 ? 'https://news.example/' : '',
    }))
    const answer = await postHits(
      url,
      { hits: hits.map((hit) => ({ site: 'blog', ...hit })) },
      { 'user-agent': `${AGENT} v${visitor}` },
    )
    expect(answer.body).toMatchObject({ accepted: 2 })
  }
}

const report = async (product: Product) => {
  const ask = (more: object) =>
    query(product.url, {
      site: 'blog',
      period: '7d',
      metrics: ['visitors', 'page_views', 'sessions', 'bounce_rate'],
      ...more,
    })
  const [totals, byPath, byReferrer] = [
    await ask({ dimensions: ['day'] }),
    await query(product.url, { site: 'blog', period: '7d', metrics: ['visitors', 'page_views'], dimensions: ['path'] }),
    await ask({ dimensions: ['referrer'] }),
  ]
  return [totals, byPath, byReferrer].map(({ rows, totals: sums }) => ({
    sums,
    rows: rows.map((row) => JSON.stringify(row)).sort(),
  }))
}
const sumsOf = async (product: Product) => (await report(product))[0]!.sums
/** Sessions come after the hits that they are of. */
const untilCounted = (product: Product, page_views: number, sessions: number): Promise<boolean> =>
  waitUntil('all is counted', async () => {
    const sums = await sumsOf(product)
    return sums.page_views === page_views && sums.sessions === sessions
  })

describe.skipIf(skipped)('millrace export and import', () => {
  let kafka: KafkaCluster
  let clickhouse: ClickHouseServer
  let distributed: Record<string, string>
  let before: Awaited<ReturnType<typeof report>>

  beforeAll(async () => {
    kafka = await startKafka({ nodes: 1, dir: join(dir, 'kafka') })
    clickhouse = await startClickHouseServer({ dir: join(dir, 'clickhouse') })
    distributed = {
      MILLRACE_LOG: 'kafka',
      MILLRACE_KAFKA_BROKERS: kafka.brokers.join(','),
      MILLRACE_CLICKHOUSE_URL: `${clickhouse.url}/millrace`,
      MILLRACE_PARTITIONS: '6',
      MILLRACE_DATA_DIR: join(dir, 'spool'),
    }
  })
  afterAll(async () => {
    await kafka?.stop()
    await clickhouse?.kill()
    rmSync(dir, { recursive: true, force: true })
  })

  test('a standalone folder is exported when it is stopped, and everything in it counted', async () => {
    const product = startProduct({ dataDir, port: await freePort() })
    await product.ready()
    await visit(product.url, [1, 2, 3, 4, 5], 0)
    await untilCounted(product, 10, 5)
    before = await report(product)
    const used = await millrace(['export', '--to', folder], { MILLRACE_DATA_DIR: dataDir })
    expect(used.code).toBe(1)
    await product.stop()
    rmSync(folder, { recursive: true, force: true })

    const exported = await millrace(['export', '--to', folder], { MILLRACE_DATA_DIR: dataDir })
    expect(exported).toMatchObject({ code: 0, stdout: expect.stringContaining('exported 10 hits and 5 sessions') })
    const again = await millrace(['export', '--to', folder], { MILLRACE_DATA_DIR: dataDir })
    expect(again).toMatchObject({ code: 1, stderr: expect.stringContaining('is not empty') })
  })

  test('an import that is interrupted goes on, and counts nothing twice', async () => {
    await clickhouse.faults.add({ kind: 'lose_answer', match: 'table=sessions_in' })
    const cut = await millrace(['import', '--from', folder], distributed)
    expect(cut).toMatchObject({ code: 1 })
    await clickhouse.faults.clear()
    const done = await millrace(['import', '--from', folder], distributed)
    expect(done).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('imported 10 hits and 5 sessions, as log epoch 2'),
    })
    expect(existsSync(join(folder, 'topics.json'))).toBe(false)
    expect(readdirSync(folder)).toContain('manifest.json')
  })

  test('reports are what they were, and visitors of today who come again are the same ones', async () => {
    const product = startProduct({ dataDir: distributed.MILLRACE_DATA_DIR!, port: await freePort(), env: distributed })
    await product.ready()
    expect(await report(product)).toEqual(before)
    await visit(product.url, [4, 5, 6], 1_000)
    await untilCounted(product, 16, 8)
    expect(await sumsOf(product)).toMatchObject({ visitors: 6, page_views: 16, sessions: 8 })

    const again = await millrace(['import', '--from', folder], distributed)
    expect(again).toMatchObject({ code: 0, stdout: expect.stringContaining('imported before: nothing was changed') })
    expect(await sumsOf(product)).toMatchObject({ page_views: 16, sessions: 8 })
    await product.stop()
  })

  test('what is in use is not imported into', async () => {
    const used = { ...distributed, MILLRACE_TOPIC_PREFIX: 'other.' }
    const refused = await millrace(['import', '--from', folder], used)
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('tables of ClickHouse are not empty') })
  })
})
