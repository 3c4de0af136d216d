import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Completeness, reached } from './complete-until.ts'

const ends = (...of: number[]) => new Map(of.map((end, partition) => [partition, end]))

describe('reached', () => {
  it.each([
    ['an empty log', ends(0, 0), ends(), true],
    ['everything inserted', ends(3, 1), ends(2, 0), true],
    ['more inserted', ends(3, 1), ends(9, 9), true],
    ['one hit missing', ends(3, 1), ends(1, 0), false],
    ['a partition that nobody has', ends(3, 1), ends(2), false],
  ])('with %s', (_title, log, inserted, expected) => {
    expect(reached({ timeMs: 1, ends: log }, inserted)).toBe(expected)
  })
})

describe('Completeness', () => {
  it('answers the newest time whose hits are all inserted', () => {
    const completeness = new Completeness()
    completeness.note({ timeMs: 10, ends: ends(1) })
    completeness.note({ timeMs: 20, ends: ends(5) })
    expect([completeness.until, completeness.waits]).toEqual([0, true])
    completeness.advance(ends(3))
    expect([completeness.until, completeness.waits]).toEqual([10, true])
    completeness.advance(ends(4))
    expect([completeness.until, completeness.waits]).toEqual([20, false])
  })
  it.each([0, 1, 40, 400, 4_000])('stays close when inserts are %i behind and somebody asks all the time', (behind) => {
    const completeness = new Completeness()
    for (let now = 1; now <= 3 * behind + 100; now++) {
      completeness.note({ timeMs: now, ends: ends(now) })
      completeness.advance(ends(now - behind - 1))
      if (now > 2 * behind) expect(completeness.until).toBeGreaterThanOrEqual(now - behind * 1.1 - 1)
    }
  })
  it('never goes back, and never says more than is inserted', () => {
    const step = fc.record({ grows: fc.nat(3), inserts: fc.nat(3), asks: fc.boolean() })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const completeness = new Completeness()
        const endAt: number[] = []
        let end = 0
        let inserted = 0
        let last = 0
        for (const [now, { grows, inserts, asks }] of steps.entries()) {
          end += grows
          endAt.push(end)
          inserted = Math.min(end, inserted + inserts)
          if (asks) completeness.note({ timeMs: now, ends: ends(end) })
          completeness.advance(ends(inserted - 1))
          expect(completeness.until).toBeGreaterThanOrEqual(last)
          last = completeness.until
          if (last > 0) expect(endAt[last]).toBeLessThanOrEqual(inserted)
        }
      }),
    )
  })
})
