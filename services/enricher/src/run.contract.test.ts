import { hash } from 'node:crypto'
import { mkdtempSync, readdirSync, readlinkSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ConfigBook, openConfigBook, openConfigWriter } from '@millrace/config'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import {
  decodeEnriched,
  HITS_DEAD,
  HITS_ENRICHED,
  HITS_RAW,
  type HitRow,
  kpOf,
  LocalDays,
  type RawLine,
  readRows,
  SALTS,
  type SessionRow,
  TOPICS,
} from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue, waitUntil, writeMmdb } from '@millrace/testing'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Enricher, startEnricher } from './run.ts'
import { IN_MEMORY } from './sessions/partition-state.ts'

const settings = {
  MILLRACE_TIMEZONE: 'UTC',
  MILLRACE_SESSION_TIMEOUT_MINUTES: 30,
  MILLRACE_GEO_DATABASE: '',
  MILLRACE_DATACENTER_NETWORKS: null,
  MILLRACE_FINGERPRINT_KEY: '',
  MILLRACE_FINGERPRINT_INPUTS: [],
}
let dir: string
let log: EmbeddedLog
let enricher: Enricher
let config: ConfigBook
let registry: Registry
/** What the log takes for now; 0 = the system's clock. */
const clock = new Float64Array(new SharedArrayBuffer(8))

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'enricher-'))
  await open()
})
afterEach(async () => {
  await close()
  clock[0] = 0
  rmSync(dir, { recursive: true })
})

async function open(more: Partial<typeof settings> = {}, isCrowded = () => false): Promise<void> {
  log = await openEmbeddedLog({ dir, hitPartitions: 2, topics: TOPICS, clock })
  config = await openConfigBook(log)
  registry = new Registry()
  enricher = await startEnricher({
    log,
    config,
    settings: { ...settings, ...more },
    logger: createLogger('error', 'test'),
    registry,
    asideDir: join(dir, 'aside'),
    build: 'test',
    batchEveryMs: 1,
    isCrowded,
    commitEveryMs: 10,
  })
}
async function close(): Promise<void> {
  await enricher.close()
  await config.close()
  await log.close()
}
async function send(partition: number, values: Buffer[]): Promise<void> {
  const producer = log.producer()
  await producer.append(HITS_RAW.name, new Map([[partition, values.map((value) => ({ value }))]]))
  await producer.close()
}
async function stored(
  partition: number,
): Promise<{ rows: HitRow[]; sessions: SessionRow[]; srcs: [number, number][]; geos: string[] }> {
  const result = {
    rows: [] as HitRow[],
    sessions: [] as SessionRow[],
    srcs: [] as [number, number][],
    geos: [] as string[],
  }
  const reader = log.reader()
  for await (const batch of reader.read(HITS_ENRICHED.name, partition, 0, Number.MAX_SAFE_INTEGER)) {
    for (const record of batch.map(decodeEnriched)) {
      result.rows.push(...readRows<HitRow>(record.hits))
      result.sessions.push(...readRows<SessionRow>(record.sessions))
      result.srcs.push([record.srcFrom, record.srcTo])
      result.geos.push(record.geo)
    }
  }
  await reader.close()
  return result
}
/** Of partition 0, after its last batch. */
async function gauge(name: string): Promise<number> {
  const { values } = await registry.getSingleMetric(`millrace_enricher_${name}`)!.get()
  return values.find(({ labels }) => labels.partition === '0')?.value ?? 0
}
/** Files of the folder of what is put aside that this process has open. */
const filesAside = (): number =>
  readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(join('/proc/self/fd', fd)).startsWith(join(dir, 'aside'))
    } catch {
      return false // closed meanwhile
    }
  }).length
const page = (n: number, path = '/'): Buffer =>
  rawValue([rawLine([{ ...pageView({ url: `https://example.com${path}` }), hit_id: hitId(n) }])])
const rowsOf = (partition: number, count: number) =>
  waitUntil(`${count} rows are stored`, async () => {
    const result = await stored(partition)
    return result.rows.length >= count ? result : null
  })

describe('the enricher on the embedded log', () => {
  it('writes one row per hit into the partition of the same number', async () => {
    await send(1, [page(1, '/a'), page(2, '/b')])
    const { rows, sessions } = await rowsOf(1, 2)
    const kp = kpOf(await log.epoch(), 1)
    expect(rows.map((row) => [row.path, row.verdict, row.ko, row.kp])).toEqual([
      ['/a', 'keep', 0, kp],
      ['/b', 'keep', 1, kp],
    ])
    expect(rows[0]!.session_id).toBe(rows[1]!.session_id)
    expect(sessions.at(-1)).toMatchObject({ sign: 1, page_views: 2, entry_path: '/a', exit_path: '/b', is_bounce: 0 })
    expect((await stored(0)).rows).toEqual([])
  })

  it('keeps the youngest sessions in memory, and has the others on disk until it ends', async () => {
    const view = (n: number, visitor = n): Buffer => {
      const line = { collected_at: clock[0]!, ip: `11.${visitor >> 16}.${(visitor >> 8) & 255}.${visitor & 255}` }
      return rawValue([rawLine([{ ...pageView({ created_at: clock[0]! }), hit_id: hitId(n) }], line)])
    }
    const visitors = IN_MEMORY.sessions + 3_000
    clock[0] = Date.now()
    await send(
      0,
      Array.from({ length: visitors }, (_, n) => view(n)),
    )
    await waitUntil('all have a session', async () => (await gauge('sessions')) === visitors)
    expect([await gauge('sessions_aside'), filesAside()]).toEqual([0, 0])
    clock[0] += 60_000
    await send(0, [view(visitors)])
    await waitUntil('the oldest are put aside', async () => (await gauge('sessions_aside')) > 0)
    expect([await gauge('sessions'), filesAside()]).toEqual([visitors + 1, 1])
    // A visitor of a minute ago goes on with the session that was put aside.
    await send(0, [view(visitors + 1, 0)])
    const { rows } = await rowsOf(0, visitors + 2)
    expect(rows.at(-1)!.session_id).toBe(rows[0]!.session_id)
    await close()
    expect(filesAside()).toBe(0)
    await open()
  })

  it('waits while whoever takes the rows has enough of them, but not until raw records expire', async () => {
    await close()
    let crowded = true
    await open({}, () => crowded)
    const sentAt = performance.now()
    await send(0, [page(1)])
    await rowsOf(0, 1)
    expect(performance.now() - sentAt).toBeGreaterThan(1_500)
    await send(0, [page(2)])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect((await stored(0)).rows.length).toBe(1)
    crowded = false
    await rowsOf(0, 2)
  })

  it('tells the place by the database that it is told, and which one that was', async () => {
    await close()
    const path = join(dir, 'city.mmdb')
    const berlin = {
      country: { iso_code: 'DE' },
      subdivisions: [{ iso_code: 'BE', names: { en: 'State of Berlin' } }],
      city: { names: { en: 'Berlin' } },
    }
    const builtAt = Date.UTC(2026, 10, 20) / 1_000
    writeFileSync(path, writeMmdb({ type: 'DBIP-City-Lite', builtAt, networks: { '203.0.113.0/24': berlin } }))
    await open({ MILLRACE_GEO_DATABASE: path })
    expect(enricher.geo()).toEqual({
      version: 'DBIP-City-Lite 2026-11-20',
      attribution: expect.stringContaining('DB-IP'),
    })
    await send(0, [page(1)])
    const { rows, sessions, geos } = await rowsOf(0, 1)
    const place = { country: 'DE', region: 'DE-BE', region_name: 'State of Berlin', city: 'Berlin' }
    expect(rows[0]).toMatchObject(place)
    expect(sessions.at(-1)).toMatchObject(place)
    expect(geos.at(-1)).toBe('DBIP-City-Lite 2026-11-20')
  })

  it('goes on with the same session and the same memory of hit_ids after a restart', async () => {
    await send(0, [page(1, '/a')])
    const before = await rowsOf(0, 1)
    await close()
    await open()
    await send(0, [page(1, '/a'), page(2, '/b')])
    const { rows, sessions, srcs } = await rowsOf(0, 3)
    expect(rows.map((row) => row.verdict)).toEqual(['keep', 'duplicate', 'keep'])
    expect(rows[2]!.session_id).toBe(before.rows[0]!.session_id)
    expect(sessions.map(({ sign, version, page_views }) => [sign, version, page_views])).toEqual([
      [1, 1, 1],
      [-1, 1, 1],
      [1, 2, 2],
    ])
    expect(srcs.flat()[0]).toBe(0)
    expect(srcs.at(-1)![1]).toBe(2)
  })

  it('keeps what nobody can read, as a dead row and byte for byte', async () => {
    await send(0, [Buffer.from('{"v":1,\n'), page(1)])
    const { rows } = await rowsOf(0, 2)
    expect(rows.map((row) => [row.verdict, row.verdict_reason])).toEqual([
      ['dead', 'line_unreadable'],
      ['keep', ''],
    ])
    const reader = log.reader()
    const letters = []
    for await (const batch of reader.read(HITS_DEAD.name, 0, 0, 10)) letters.push(...batch)
    await reader.close()
    expect(
      letters.map(({ value, headers }) => [value!.toString(), headers.reason!.toString(), headers.offset!.toString()]),
    ).toEqual([['{"v":1,', 'line_unreadable', '0']])
  })

  it('makes one salt a day', async () => {
    await send(0, [page(1)])
    await send(1, [page(2)])
    await rowsOf(0, 1)
    await rowsOf(1, 1)
    const end = await log.admin().endOffsets(SALTS.name)
    expect(end.get(0)).toBe(1)
  })

  it('commits where a restore finds its state', async () => {
    await send(0, [page(1)])
    const position = await waitUntil('the position is committed', async () =>
      (await log.admin().committed('millrace.enricher', HITS_RAW.name)).get(0),
    )
    expect(position).toEqual({ offset: 1, metadata: '{"head":0,"from":-1}' })
  })

  it('waits until it knows the site as the collector knew it', async () => {
    // At any time of day one of the two has another date than UTC.
    const timezone = new Date().getUTCHours() >= 11 ? 'Pacific/Kiritimati' : 'Etc/GMT+12'
    const line = (n: number, config_at: number) =>
      rawValue([rawLine([{ ...pageView(), hit_id: hitId(n) }], { config_at })])
    await send(0, [line(1, -1), line(2, 1)])
    const writer = openConfigWriter(log, config)
    await writer.putSite('blog', {})
    await writer.changeSite('blog', { timezone })
    await writer.close()
    const { rows } = await rowsOf(0, 2)
    expect(rows[1]!.day).toBe(new LocalDays(timezone).dayOf(rows[1]!.time))
    expect(rows[1]!.day).not.toBe(new LocalDays('UTC').dayOf(rows[1]!.time))
    const reader = log.reader()
    const versions = []
    for await (const batch of reader.read(HITS_ENRICHED.name, 0, 0, 10)) versions.push(...batch.map(decodeEnriched))
    await reader.close()
    expect(versions.at(-1)!.config).toBe(1)
  })

  it('goes on past an offset of the config that never was', async () => {
    await send(0, [rawValue([rawLine([{ ...pageView(), hit_id: hitId(1) }], { config_at: 1e9 })])])
    expect((await rowsOf(0, 1)).rows[0]!.verdict).toBe('keep')
    // And nobody waits for it again.
    await config.waitFor(1e9, AbortSignal.abort())
  })

  it('knows users by the ids of the sender where the site allows it', async () => {
    const writer = openConfigWriter(log, config)
    await writer.ensureInstallation()
    await writer.putSite('blog', { user_ids: true })
    await writer.putSite('shop', {})
    await writer.close()
    const line = (n: number, fields: Partial<RawLine>) =>
      rawValue([rawLine([{ ...pageView(), hit_id: hitId(n) }], { config_at: config.at(), user: 'u-1', ...fields })])
    await send(0, [
      line(1, { trust: 'secret' }),
      line(2, { trust: 'secret', ip: '203.0.113.10', user_agent: 'curl/8' }),
      line(3, { trust: 'secret', user: 'u-2' }),
      line(4, { trust: 'public' }),
      line(5, { trust: 'secret', site: 'shop' }),
      line(6, { trust: 'secret', site: 'shop', ip: '203.0.113.10' }),
    ])
    const ids = (await rowsOf(0, 6)).rows.map((row) => row.visitor_id)
    const secret = config.installationSecret()!
    const expected = hash('sha256', Buffer.concat([secret, Buffer.from('\0blog\0u-1')]), 'hex').slice(0, 16)
    expect(ids.slice(0, 2)).toEqual([expected, expected])
    expect(new Set(ids).size).toBe(5)
  })
})
