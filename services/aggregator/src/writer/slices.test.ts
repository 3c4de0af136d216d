import { describe, expect, it } from 'vitest'
import type { Share } from './batch.ts'
import { type Expected, expectedSlices, largestMark, missingByCount, missingByMark, PartitionBroken } from './slices.ts'

const slice = (kp: number, month: number, rows = 10): Expected => ({ kp, month, rows, koFrom: 5, koTo: 9 })

describe('expectedSlices', () => {
  it('lists partition and month with rows, offsets of the share, and no month without rows', () => {
    const share = {
      owner: { partition: 1, kp: 4097 },
      srcFrom: 5,
      srcTo: 9,
      hitRows: { 202610: 3, 202611: 7 },
      sessionRows: { 202611: 2 },
    } as unknown as Share
    expect(expectedSlices([share])).toEqual({
      hits_in: [slice(4097, 202610, 3), slice(4097, 202611, 7)],
      sessions_in: [slice(4097, 202611, 2)],
    })
  })
})

describe('missingByMark', () => {
  it.each([
    ['no mark', [], true],
    ['an older mark', [['1/202611', 8]], true],
    ['its own mark', [['1/202611', 9]], false],
    ['a later mark', [['1/202611', 20]], false],
    ['the mark of another month', [['1/202610', 9]], true],
    ['the mark of another partition', [['11/202611', 9]], true],
  ] as const)('with %s: missing %s', (_title, marks, missing) => {
    expect(missingByMark([slice(1, 202611)], new Map(marks)).length === 1).toBe(missing)
  })
})

describe('missingByCount', () => {
  it.each([
    ['no rows', [], ['1/202610', '1/202611']],
    ['all rows of one month', [['1/202611', 10]], ['1/202610']],
    ['all rows', [['1/202610', 10], ['1/202611', 10]], []], // biome-ignore format: one row
  ] as const)('with %s', (_title, counts, missing) => {
    const found = missingByCount([slice(1, 202610), slice(1, 202611)], new Map(counts))
    expect(found.map(({ kp, month }) => `${kp}/${month}`)).toEqual(missing)
  })
  it.each([9, 11, 20])('does not guess with %i of 10 rows', (rows) => {
    expect(() => missingByCount([slice(1, 202611)], new Map([['1/202611', rows]]))).toThrow(PartitionBroken)
  })
})

describe('largestMark', () => {
  it('looks at all months of one kp', () => {
    const marks = new Map([
      ['1/202610', 4],
      ['1/202611', 3],
      ['11/202611', 9],
    ])
    expect([1, 11, 2].map((kp) => largestMark(marks, kp))).toEqual([4, 9, -1])
  })
})
