import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hitId, pageView, postHits, query, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, missingTools, startCluster } from '../../infra/cluster/cluster.mjs'

const missing = await missingTools({ balancer: false })
const skip = missing !== null && !process.env.CI
if (skip) console.warn(`The cluster is not tested: ${missing}`)

const SITE = 'blog'
const VISITORS = 20
/** Of each visitor, before and after the kill. */
const VIEWS = 10
const REPORT = { site: SITE, period: '24h', metrics: ['page_views', 'visitors', 'sessions'] }

describe.skipIf(skip)('the services on Kafka and ClickHouse', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cluster-'))
  let cluster: Cluster

  beforeAll(async () => {
    cluster = await startCluster({
      dir: folder,
      brokers: 1,
      services: { collector: 1, enricher: 2, aggregator: 2 },
      balancer: false,
      env: { MILLRACE_PARTITIONS: '6' },
    })
  })
  afterAll(async () => {
    await cluster?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  let sent = 0
  /** Page views of all visitors, in requests that run beside each other; one in five is sent a second time. */
  async function sendViews(): Promise<void> {
    const hits = Array.from({ length: VISITORS * VIEWS }, (_, i) => ({ visitor: i % VISITORS, id: hitId(++sent) }))
    await Promise.all(
      hits.map(async ({ visitor, id }, i) => {
        const headers = { 'x-forwarded-for': `203.0.113.${visitor + 1}` }
        for (let times = 0; times < (i % 5 === 0 ? 2 : 1); times++) {
          const answer = await postHits(cluster.url, pageView({ site: SITE, hit_id: id }), headers)
          expect(answer, `hit ${id}`).toMatchObject({ status: 202, body: { accepted: 1 } })
        }
      }),
    )
  }

  const aggregators = (): string[] => ['aggregator-1', 'aggregator-2'].map((name) => cluster.urlOf(name))

  /** Both aggregators count every hit that was answered before the call, once. */
  async function expectExact(): Promise<void> {
    const now = Date.now()
    const counted = { page_views: sent, visitors: VISITORS, sessions: VISITORS }
    for (const url of aggregators()) {
      await waitUntil(
        `${url} has counted all hits`,
        async () => Date.parse((await query(url, REPORT)).complete_until) >= now,
        60_000,
      )
      expect((await query(url, REPORT)).totals).toEqual(counted)
    }
  }

  test('an enricher is killed with kill -9 while hits come in, and each hit counts once', async () => {
    await sendViews()
    const more = sendViews()
    await cluster.kill('enricher-1')
    await more
    await expectExact()
    await cluster.restart('enricher-1')
    await expectExact()
  })

  test('an aggregator is killed with kill -9 while hits come in, and each hit counts once', async () => {
    const more = sendViews()
    await cluster.kill('aggregator-2')
    await more
    await cluster.restart('aggregator-2')
    await expectExact()
  })

  test('each service stops gracefully, and goes on where it was', async () => {
    await sendViews()
    for (const name of ['collector-1', 'enricher-2', 'aggregator-1']) {
      expect(await cluster.end(name), name).toEqual({ code: 0, signal: null })
      await cluster.restart(name)
    }
    await expectExact()
  })

  test('a collector that starts while Kafka is away takes hits, and each counts once', async () => {
    await cluster.kill('kafka-1')
    await cluster.restart('collector-1')
    await sendViews()
    await cluster.restart('kafka-1')
    await waitUntil('its spool is empty', async () =>
      /^millrace_collector_spool_bytes 0$/m.test(await (await fetch(`${cluster.urlOf('collector-1')}/metrics`)).text()),
    )
    await expectExact()
  })

  test('an aggregator waits for ClickHouse, says so, and goes on', async () => {
    await cluster.kill('clickhouse')
    await cluster.kill('aggregator-1')
    const back = cluster.restart('aggregator-1')
    await waitUntil('it says why it is not ready', async () => {
      const answer = await fetch(`${cluster.urlOf('aggregator-1')}/readyz`)
      return answer.status === 503 && (await answer.text()).includes('store: ClickHouse')
    })
    await cluster.restart('clickhouse')
    await back
    await sendViews()
    await expectExact()
  })

  test.each([
    ['collector-1', 'millrace_collector_hits_accepted_total'],
    ['enricher-2', 'millrace_enricher_batches_total'],
    ['aggregator-1', 'millrace_aggregator_flushes_total'],
  ])('%s says how it is, and has metrics of its own', async (name, metric) => {
    const url = cluster.urlOf(name)
    expect((await fetch(`${url}/livez`)).status).toBe(200)
    expect(await (await fetch(`${url}/health`)).json()).toMatchObject({ name: name.split('-')[0], status: 'ok' })
    expect(await (await fetch(`${url}/metrics`)).text()).toContain(`\n${metric}`)
    const { paths } = (await (await fetch(`${url}/v1/openapi.json`)).json()) as { paths: Record<string, object> }
    expect([name, '/v1/hits' in paths, '/v1/query' in paths]).toEqual([
      name,
      name.startsWith('collector'),
      name.startsWith('aggregator'),
    ])
    const page = await (await fetch(`${url}/docs`)).text()
    for (const path of Object.keys(paths)) expect(page).toContain(`<code>${path}</code>`)
  })

  test('a service takes only what is its own', async () => {
    const statuses = async (name: string): Promise<number[]> => {
      const answers = await Promise.all(
        ['/v1/hits', '/v1/query?site=blog&period=7d&metrics=page_views'].map((path) =>
          fetch(cluster.urlOf(name) + path),
        ),
      )
      return answers.map(({ status }) => status)
    }
    expect(await statuses('collector-1')).toEqual([405, 404])
    expect(await statuses('enricher-1')).toEqual([404, 404])
    expect(await statuses('aggregator-1')).toEqual([404, 200])
  })
})
