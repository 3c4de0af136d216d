import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hash64, Uuid } from '@millrace/shared'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import { RecentTable, TIME_STEP_MS } from './recent.ts'
import { SeenHits } from './seen-hits.ts'

const HOUR = 3_600_000
const T = 1_795_219_200_000

const path = mkdtempSync(join(tmpdir(), 'recent-'))
afterAll(() => rmSync(path, { recursive: true }))
const folder = new ColdFolder(path, (error) => {
  throw error
})

describe('RecentTable', () => {
  it.each([
    ['', () => new RecentTable(), false],
    [' with values', () => new RecentTable(true), true],
    [' put aside with values', () => new RecentTable(true, folder, 8), true],
    [' put aside', () => new RecentTable(false, folder, 8), false],
  ])('remembers as a list of all entries would%s', (_, make, withValues) => {
    const entry = fc.record({
      low: fc.constantFrom(0, 1, 2, 3, 2 ** 32 - 2, 2 ** 32 - 1),
      high: fc.constantFrom(0, 1, 2 ** 31),
      time: fc.integer({ min: 0, max: 3 * HOUR }),
      value: fc.nat(100),
      isPutAside: fc.boolean(),
    })
    fc.assert(
      fc.property(fc.array(entry, { maxLength: 200 }), fc.integer({ min: 0, max: 3 * HOUR }), (entries, since) => {
        const table = make()
        for (const { low, high, time, value, isPutAside } of entries) {
          table.add(low, high, T + time, value)
          if (isPutAside) table.putAside()
        }
        expect(table.size).toBe(entries.length)
        table.forget(T + since)
        const step = (time: number): number => Math.floor((T + time) / TIME_STEP_MS)
        for (const { low, high } of entries) {
          const same = (e: (typeof entries)[number]): boolean =>
            Math.max(e.low, e.high === 0 ? 1 : 0) === Math.max(low, high === 0 ? 1 : 0) && e.high === high
          const values = entries
            .filter((e) => same(e) && step(e.time) >= step(since))
            .map(({ value }) => (withValues ? value : 0))
          expect(table.largest(low, high, T + since)).toBe(Math.max(-1, ...values))
        }
        table.close()
      }),
    )
  })

  it('holds a million fingerprints in less than 15 bytes each', () => {
    const table = new RecentTable()
    for (let i = 0; i < 1_000_000; i++) table.add(Math.imul(i, 0x9e3779b1) >>> 0, Math.imul(i, 0x85ebca6b) >>> 0, T)
    expect(table.size).toBe(1_000_000)
    expect(table.bytes / table.size).toBeLessThan(15)
    expect(table.has(Math.imul(999_999, 0x9e3779b1) >>> 0, Math.imul(999_999, 0x85ebca6b) >>> 0, T)).toBe(true)
  })

  it('frees what is too old', () => {
    const table = new RecentTable()
    for (let i = 0; i < 100; i++) table.add(i, 1, T + i * HOUR)
    table.forget(T + 98 * HOUR)
    expect(table.size).toBeLessThan(5)
  })
})

describe('SeenHits', () => {
  const id = Uuid.of('01932c07-0000-7000-8000-00000000000a')
  const visitor = Hash64.of('00000000000000ff')

  it('tells the same hit_id of the same visitor for as long as asked', () => {
    const seen = new SeenHits()
    seen.add(id, visitor, T, 5, 5)
    expect(seen.has(id, visitor, T - HOUR)).toBe(true)
    expect(seen.has(id, visitor, T + TIME_STEP_MS)).toBe(false)
    expect(seen.has(id, Hash64.of('00000000000000fe'), T)).toBe(false)
    expect(seen.has(Uuid.of('01932c07-0000-7000-8000-00000000000b'), visitor, T)).toBe(false)
  })

  it('spares the hashes of days that know nothing of a hit_id', () => {
    const seen = new SeenHits()
    seen.add(id, visitor, T, 5, 6)
    expect([4, 5, 6, 7].map((day) => seen.mayKnow(id, day))).toEqual([false, true, true, false])
    seen.forget(T + 2 * HOUR)
    expect(seen.mayKnow(id, 5)).toBe(false)
  })
})
