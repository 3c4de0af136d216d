import { describe, expect, it } from 'vitest'
import { AcceptedRecords } from './accepted.ts'

describe('accepted records', () => {
  it.each([
    [-1, 5, -1],
    [-1, 11, 0],
    [-1, 25, 1],
    [7, 5, 7],
    [7, 11, 0],
  ])('from %d on, the last below %d is %d', (from, before, expected) => {
    const records = new AcceptedRecords(from)
    for (const [offset, time] of [10, 20, 30].entries()) records.add(offset, time)
    expect(records.lastBelow(before)).toBe(expected)
  })

  it('answer with the oldest that they know when they are asked for more than before', () => {
    const records = new AcceptedRecords(-1)
    for (let offset = 0; offset < 3_000; offset++) records.add(offset, offset)
    expect(records.lastBelow(2_000)).toBe(1_999)
    expect(records.lastBelow(100)).toBe(1_999)
    expect(records.lastBelow(2_500)).toBe(2_499)
  })
})
