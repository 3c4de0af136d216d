import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import {
  decodeEnriched,
  HITS_DEAD,
  HITS_ENRICHED,
  HITS_RAW,
  type HitRow,
  kpOf,
  readRows,
  SALTS,
  type SessionRow,
  TOPICS,
} from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue, waitUntil } from '@millrace/testing'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Enricher, startEnricher } from './run.ts'

const settings = { MILLRACE_TIMEZONE: 'UTC', MILLRACE_SESSION_TIMEOUT_MINUTES: 30 }
let dir: string
let log: EmbeddedLog
let enricher: Enricher

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'enricher-'))
  await open()
})
afterEach(async () => {
  await close()
  rmSync(dir, { recursive: true })
})

async function open(): Promise<void> {
  log = await openEmbeddedLog({ dir, hitPartitions: 2, topics: TOPICS })
  enricher = await startEnricher({
    log,
    settings,
    logger: createLogger('error', 'test'),
    registry: new Registry(),
    build: 'test',
    batchEveryMs: 1,
    commitEveryMs: 10,
  })
}
async function close(): Promise<void> {
  await enricher.close()
  await log.close()
}
async function send(partition: number, values: Buffer[]): Promise<void> {
  const producer = log.producer()
  await producer.append(HITS_RAW.name, new Map([[partition, values.map((value) => ({ value }))]]))
  await producer.close()
}
async function stored(
  partition: number,
): Promise<{ rows: HitRow[]; sessions: SessionRow[]; srcs: [number, number][] }> {
  const result = { rows: [] as HitRow[], sessions: [] as SessionRow[], srcs: [] as [number, number][] }
  const reader = log.reader()
  for await (const batch of reader.read(HITS_ENRICHED.name, partition, 0, Number.MAX_SAFE_INTEGER)) {
    for (const record of batch.map(decodeEnriched)) {
      result.rows.push(...readRows<HitRow>(record.hits))
      result.sessions.push(...readRows<SessionRow>(record.sessions))
      result.srcs.push([record.srcFrom, record.srcTo])
    }
  }
  await reader.close()
  return result
}
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
})
