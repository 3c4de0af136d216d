import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLogger, createServer, requireKey, type Server } from '@millrace/server'
import { HITS_RAW, type HitRow, kpOf } from '@millrace/shared'
import { migrate, openStore, type Store } from '@millrace/store'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { insertRows } from '../query/filled-store.fixture.ts'
import { randomSite } from '../query/random-site.fixture.ts'
import type { Balance } from './balance.ts'
import type { LedgerRow, LedgerTotals } from './ledger.ts'
import { registerLedgerApi } from './register.ts'

const NOW_MS = Date.parse('2026-11-20T10:20:00Z')
const HOUR_MS = 3_600_000
const EPOCH = 1
const template = randomSite('blog', 1, 1).hits[0]!

/** A row of partition `p`, record `ko`, hit `ki`. */
function row(p: number, ko: number, ki: number, fields: Partial<HitRow> = {}): HitRow {
  const base = {
    ...template,
    site: 'blog',
    verdict: 'keep',
    verdict_reason: '',
    is_bot: false,
    bot_reason: '',
  } as HitRow
  return { ...base, received_at: NOW_MS, kp: kpOf(EPOCH, p), ko, ki, ...fields } as HitRow
}

interface Answer {
  readonly rows: LedgerRow[]
  readonly totals: LedgerTotals
  readonly balance?: Balance
}

describe('GET /v1/ledger', () => {
  let dataDir: string
  let store: Store
  let server: Server
  let url: string
  let low: Map<number, number>
  let end: Map<number, number>

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'millrace-ledger-'))
    store = await openStore({ dataDir })
    await migrate(store)
    await insertRows(store, 'hits_in', [
      row(0, 5, 0),
      row(0, 5, 1, { is_bot: true, bot_reason: 'ua_bot' }),
      row(0, 6, 0, { verdict: 'duplicate', verdict_reason: 'hit_id' }),
      row(0, 7, 0, { verdict: 'dead', verdict_reason: 'url_invalid' }),
      row(0, 7, 1, { site: 'shop', received_at: NOW_MS - HOUR_MS }),
      row(1, 0, 0, { site: 'shop', verdict: 'dead', verdict_reason: 'line_unreadable' }),
      row(1, 1, 0, { received_at: NOW_MS - 72 * HOUR_MS }),
      row(1, 1, 0, { site: '', verdict: 'marker' }),
    ])
    server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
    const keys: Record<string, { scopes: string[]; sites: string[] }> = {
      all: { scopes: ['read'], sites: [] },
      shop: { scopes: ['read'], sites: ['shop'] },
    }
    requireKey(server.app, { adminKey: 'k', keyOf: (text) => keys[text] ?? null, needs: { '/v1/ledger': 'read' } })
    const offsets = (which: () => Map<number, number>) => async (topic: string) => {
      expect(topic).toBe(HITS_RAW.name)
      return which()
    }
    const admin = { lowOffsets: offsets(() => low), endOffsets: offsets(() => end), close: async () => undefined }
    const log = { admin: () => admin as never, epoch: async () => EPOCH }
    registerLedgerApi({ server, store, log, completeUntil: async () => NOW_MS, clock: () => NOW_MS })
    url = await server.listen()
  })
  afterAll(async () => {
    await server?.close()
    await store?.close()
    await rm(dataDir, { recursive: true, force: true })
  })

  async function ask(search = '', key = 'all'): Promise<Answer & Record<string, unknown>> {
    const response = await fetch(`${url}/v1/ledger${search}`, { headers: { authorization: `Bearer ${key}` } })
    return (await response.json()) as never
  }
  const inLog = (from: [number, number], to: [number, number]): void => {
    low = new Map(from.entries())
    end = new Map(to.entries())
  }

  test('it tells what became of every hit, by hour and reason', async () => {
    inLog([5, 0], [8, 2])
    const answer = await ask()
    const [hour, before] = ['2026-11-20T10:00:00.000Z', '2026-11-20T09:00:00.000Z']
    expect(answer.rows).toEqual([
      { hour: before, verdict: 'keep', reason: '', is_bot: false, hits: 1 },
      { hour, verdict: 'keep', reason: '', is_bot: false, hits: 1 },
      { hour, verdict: 'keep', reason: 'ua_bot', is_bot: true, hits: 1 },
      { hour, verdict: 'duplicate', reason: 'hit_id', is_bot: false, hits: 1 },
      { hour, verdict: 'dead', reason: 'line_unreadable', is_bot: false, hits: 1 },
      { hour, verdict: 'dead', reason: 'url_invalid', is_bot: false, hits: 1 },
    ])
    expect(answer.totals).toEqual({ hits: 6, kept: 3, bots: 1, duplicate: 1, dead: 2 })
    expect(answer.complete_until).toBe('2026-11-20T10:20:00.000Z')
  })

  test('it balances when each record of the log has its rows, whatever their verdict', async () => {
    inLog([5, 0], [8, 2])
    const none = { missing_records: 0, missing_rows: 0, repeated_rows: 0, waiting_records: 0 }
    expect((await ask()).balance).toEqual({
      balanced: true,
      partitions: [
        { kp: kpOf(EPOCH, 0), from: 5, to: 7, records: 3, rows: 5, ...none },
        { kp: kpOf(EPOCH, 1), from: 0, to: 1, records: 2, rows: 2, ...none },
      ],
    })
  })

  test.each<[string, [number, number], [number, number], number, object]>([
    ['records at the head are missing', [3, 0], [8, 2], 0, { missing_records: 2 }],
    ['records wait', [5, 0], [8, 9], 1, { waiting_records: 7 }],
    ['the log has forgotten the first ones', [7, 0], [8, 2], 0, { records: 1, rows: 2 }],
    ['the log has forgotten all of them', [8, 0], [8, 2], 0, { records: 0, to: -1, waiting_records: 0 }],
  ])('it says so when %s', async (_title, from, to, partition, expected) => {
    inLog(from, to)
    const { balanced, partitions } = (await ask()).balance!
    expect(partitions[partition]).toMatchObject(expected)
    expect(balanced).toBe(!('missing_records' in expected))
  })

  test('it is for the sites of the key, and then without the balance of the log', async () => {
    inLog([5, 0], [8, 2])
    const answer = await ask('', 'shop')
    expect([answer.totals, answer.balance]).toEqual([{ hits: 2, kept: 1, bots: 0, duplicate: 0, dead: 1 }, undefined])
    expect(await ask('?site=blog', 'shop')).toMatchObject({ code: 'forbidden' })
    expect((await ask('?site=shop&balance=false')).totals.hits).toBe(2)
  })

  test('it takes a period of whole hours', async () => {
    const answer = await ask('?from=2026-11-17T00:00:00Z&to=2026-11-18T00:00:00Z&balance=0')
    expect(answer).toMatchObject({ totals: { hits: 1 }, query: { from: '2026-11-17T00:00:00.000Z' } })
    expect((await ask(`?from=${NOW_MS - HOUR_MS}`)).totals.hits).toBe(6)
  })

  test.each(['?from=x', '?to=1', '?site=A!', '?balance=maybe', '?period=7d', '?site=a&site=b'])(
    'it refuses %s',
    async (search) => {
      expect(await ask(search)).toMatchObject({ status: 400, code: 'query_invalid' })
    },
  )

  // The last: from here on the rows are spoiled.
  test('it says so when a hit has two rows, or one within a record is missing', async () => {
    inLog([5, 0], [9, 2])
    await insertRows(store, 'hits_in', [row(0, 5, 1), row(0, 8, 2)])
    const { balanced, partitions } = (await ask()).balance!
    expect(balanced).toBe(false)
    expect(partitions[0]).toMatchObject({ rows: 7, repeated_rows: 1, missing_rows: 2, missing_records: 0 })
  })
})
