/** The operator's commands where the log is Kafka and the store is ClickHouse over HTTP: tail, resume, verify. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hitId, pageView, postHits, query, type Ran, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Cluster, missingTools, startCluster } from '../../infra/cluster/cluster.mjs'
import type { VerifyReport } from '../../services/standalone/src/verify/findings.ts'
import { millraceOn } from './check/millrace-on.ts'

const missing = await missingTools({ balancer: false })
const skip = missing !== null && !process.env.CI
if (skip) console.warn(`The operator's commands are not tested on Kafka: ${missing}`)

const PARTITIONS = 2
const HITS = 40
const WITHIN_MS = 120_000

describe.skipIf(skip)('the commands of an operator, on Kafka and ClickHouse', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-operate-kafka-'))
  let cluster: Cluster
  let millrace: (...args: string[]) => Promise<Ran>
  let sent = 0

  beforeAll(async () => {
    cluster = await startCluster({
      ...{ dir: folder, brokers: 1, balancer: false, sites: ['blog'] },
      services: { collector: 1, enricher: 1, aggregator: 1 },
      env: { MILLRACE_PARTITIONS: String(PARTITIONS) },
    })
    millrace = millraceOn(cluster)
    await send(HITS)
    await counted(HITS)
  }, WITHIN_MS)
  afterAll(async () => {
    await cluster?.stop()
    rmSync(folder, { recursive: true, force: true })
  }, WITHIN_MS)

  /** Hits of as many visitors, so that every partition has some. */
  async function send(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const headers = { 'x-forwarded-for': `198.18.7.${n + 1}` }
      const answer = await postHits(cluster.url, pageView({ site: 'blog', hit_id: hitId(++sent) }), headers)
      expect(answer.status).toBe(202)
    }
  }

  const counted = (pageViews: number): Promise<unknown> =>
    waitUntil(
      `${pageViews} page views are counted`,
      async () => {
        const report = { site: 'blog', period: '24h', metrics: ['page_views'] }
        return (await query(cluster.urlOf('aggregator-1'), report)).totals.page_views === pageViews
      },
      WITHIN_MS,
    )

  /** The report on all that was taken: what was inserted last is compared once the aggregator has confirmed it. */
  const verified = (): Promise<VerifyReport> =>
    waitUntil(
      'everything is confirmed',
      async () => {
        const { code, stdout, stderr } = await millrace('verify', '--json', '--quiet')
        expect(stderr).toBe('')
        const report = JSON.parse(stdout) as VerifyReport
        expect(code).toBe(report.ok ? 0 : 1)
        return report.not_compared.some((text) => text.includes('not counted yet')) ? null : report
      },
      WITHIN_MS,
    )

  async function tail(...args: string[]) {
    const { code, stdout, stderr } = await millrace('tail', ...args)
    expect([code, stderr]).toEqual([0, ''])
    const lines = stdout.split('\n').filter((line) => line !== '')
    return { text: stdout, records: lines.map((line) => JSON.parse(line)) }
  }

  test('tail shows the topics of Kafka, and nobody unless it is asked to', { timeout: WITHIN_MS }, async () => {
    const raw = await tail('hits.raw', '--from', 'begin')
    expect(raw.records.flatMap(({ lines }) => lines.flatMap(({ hits }: { hits: object[] }) => hits))).toHaveLength(HITS)
    expect(new Set(raw.records.map(({ partition }) => partition)).size).toBe(PARTITIONS)
    expect(raw.text).not.toMatch(/198\.18\.|Mozilla/)
    const shown = await tail('hits.raw', '--partition', '1', '--from', '0', '--limit', '1', '--show-personal')
    expect(shown.text).toMatch(/198\.18\.7\./)
    const enriched = await tail('hits.enriched', '--partition', '0', '--from', 'begin', '--limit', '1')
    expect(enriched.records[0]).toMatchObject({
      ...{ topic: 'hits.enriched', partition: 0, offset: 0, prev: -1, src_from: 0 },
      hits: expect.arrayContaining([expect.objectContaining({ verdict: 'keep', site: 'blog' })]),
    })
    expect((await tail('hits.raw', '--from', 'begin', '--follow', '--limit', '2')).records).toHaveLength(2)
    expect((await tail('hits.raw', '--from', new Date(Date.now() + 60_000).toISOString())).records).toEqual([])
    expect(await millrace('tail', 'hits.raw', '--partition', '99')).toMatchObject({
      ...{ code: 1, stderr: expect.stringContaining('has the partitions 0 to 1') },
    })
  })

  test('verify compares all of it and finds no difference', { timeout: WITHIN_MS }, async () => {
    const report = await verified()
    expect(report).toMatchObject({ ok: true, not_compared: [], facts: { raw_hits: HITS, rows: HITS } })
    expect(report.checks.filter(({ compared }) => compared === 0)).toEqual([])
    expect(report.checks).toHaveLength(10)
  })

  test('resume lists a hole that the enricher stands in front of, and takes it behind it', {
    timeout: WITHIN_MS,
  }, async () => {
    expect((await millrace('resume')).stdout).toContain('there is no hole')
    await cluster.end('enricher-1')
    await send(HITS)
    const ends = new Map<number, number>()
    for (const { partition, offset } of (await tail('hits.raw', '--from', 'begin')).records)
      ends.set(partition, offset + 1)
    for (const [partition, end] of ends) await cluster.deleteRecords('hits.raw', partition, end)
    cluster.start('enricher-1')

    const standsStill = async (): Promise<boolean> => {
      const answer = await fetch(`${cluster.urlOf('enricher-1')}/readyz`).catch(() => null) // it starts
      return answer?.status === 503 && (await answer.text()).includes('--accept-gap')
    }
    await waitUntil('the enricher stands still', standsStill, WITHIN_MS)
    const listed = await millrace('resume')
    expect(listed.stdout).toMatch(/partition 0 of hits\.raw: \d+ records from offset \d+ to \d+ are missing/)
    expect(listed.stdout).toContain('millrace resume --accept-gap')
    expect(await standsStill()).toBe(true)

    const accepted = await millrace('resume', '--accept-gap')
    expect(accepted.stdout).toContain(`the enricher goes on at ${ends.get(1)}`)
    await waitUntil('the enricher goes on', async () => !(await standsStill()), WITHIN_MS)
    await send(HITS)
    await counted(2 * HITS)
    expect((await millrace('resume')).stdout).toContain('there is no hole')
    expect((await verified()).ok).toBe(true)
  })

  // The data are spoiled from here on.
  test('verify finds a row that was inserted again, and one that was deleted', { timeout: WITHIN_MS }, async () => {
    const [first, second] = ['ORDER BY kp, ko, ki LIMIT 1', 'ORDER BY kp DESC, ko DESC, ki DESC LIMIT 1'].map(
      (order) => `(kp, ko, ki) IN (SELECT kp, ko, ki FROM millrace.hits WHERE verdict = 'keep' ${order})`,
    )
    for (const statement of [
      `INSERT INTO millrace.hits SELECT * FROM millrace.hits WHERE ${first}`,
      `ALTER TABLE millrace.hits DELETE WHERE ${second} SETTINGS mutations_sync = 2`,
    ]) {
      const answer = await fetch(cluster.urlOf('clickhouse'), { method: 'POST', body: statement })
      expect(answer.status, await answer.text()).toBe(200)
    }
    const report = await verified()
    expect(report.ok).toBe(false)
    expect(report.checks.find(({ name }) => name === 'I2 a raw hit has one row')!.wrong).toBeGreaterThanOrEqual(2)
    expect(report.checks.flatMap(({ examples }) => examples).join('\n')).toMatch(/hits has no row/)
  })
})
