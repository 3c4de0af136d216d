import { createHmac } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedLog, openEmbeddedLog } from '@millrace/log'
import { createLogger } from '@millrace/server'
import { SALTS, TOPICS } from '@millrace/shared'
import { Registry } from 'prom-client'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFacts, type Facts } from './facts.ts'
import { fixedSalts, openSalts, SALT_LIFE_MS, type Salts } from './salts.ts'

let dir: string
let log: EmbeddedLog
let now: number
let dropped: string[]
const opened: Salts[] = []

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'salts-'))
  log = await openEmbeddedLog({ dir, hitPartitions: 1, topics: TOPICS })
  now = Date.now()
  dropped = []
})
afterEach(async () => {
  for (const salts of opened.splice(0)) await salts.close()
  await log.close()
  rmSync(dir, { recursive: true })
})

async function open(): Promise<Salts> {
  const facts: Facts = {
    ...createFacts(createLogger('error', 'test'), new Registry()),
    saltDropped: (date) => void dropped.push(date),
  }
  const salts = await openSalts(log, () => now, facts)
  opened.push(salts)
  return salts
}
const DAY = 20_779

describe('salts', () => {
  it('are made once for each day, the same for all', async () => {
    const [one, two] = [await open(), await open()]
    await Promise.all([one.ensure(new Set([DAY, DAY + 1])), two.ensure(new Set([DAY])), one.ensure(new Set([DAY]))])
    expect(one.saltOf(DAY)).toHaveLength(32)
    expect(two.saltOf(DAY)).toEqual(one.saltOf(DAY))
    expect(one.saltOf(DAY + 1)).not.toEqual(one.saltOf(DAY))
    expect(one.saltOf(DAY + 2)).toBeNull()
  })

  it('are those of the first record of a date', async () => {
    const producer = log.producer()
    const record = (fill: number) => ({ key: Buffer.from('2026-11-22'), value: Buffer.alloc(32, fill) })
    const noise = { key: Buffer.from('2026-11-22'), value: Buffer.from('too short') }
    await producer.append(SALTS.name, new Map([[0, [noise, record(1), record(2)]]]))
    await producer.close()
    expect((await open()).saltOf(DAY)).toEqual(Buffer.alloc(32, 1))
  })

  it('are the same after a restart', async () => {
    const first = await open()
    await first.ensure(new Set([DAY]))
    expect((await open()).saltOf(DAY)).toEqual(first.saltOf(DAY))
  })

  it('are gone 80 hours after their first use, with an audit line, and stay gone', async () => {
    const salts = await open()
    await salts.ensure(new Set([DAY]))
    const bytes = salts.saltOf(DAY)!
    now += SALT_LIFE_MS + 1_000
    expect(salts.saltOf(DAY)).toBeNull()
    expect(salts.isDecided(DAY)).toBe(true)
    expect(dropped).toEqual(['2026-11-22'])
    expect(bytes).toEqual(Buffer.alloc(32))
    expect((await open()).saltOf(DAY)).toBeNull()
  })
})

describe("salts of the operator's own key", () => {
  it('are HMAC-SHA256 of the key and the date, on any day, and never gone', async () => {
    const salts = fixedSalts('k'.repeat(32))
    const expected = createHmac('sha256', 'k'.repeat(32)).update('2026-11-22').digest()
    expect(salts.saltOf(DAY)).toEqual(expected)
    expect(salts.saltOf(DAY - 10_000)).toHaveLength(32)
    expect(salts.saltOf(DAY + 1)).not.toEqual(expected)
    expect(fixedSalts('l'.repeat(32)).saltOf(DAY)).not.toEqual(expected)
    expect(salts.isDecided(DAY)).toBe(true)
    await salts.ensure(new Set([DAY]))
    for (let day = 0; day < 5_000; day++) salts.saltOf(day)
    expect(salts.saltOf(DAY)).toEqual(expected)
  })
})
