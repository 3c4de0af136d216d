import type { EnrichedRecord, RowsByMonth } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { BATCH_LIMITS, type BatchLimits, cursorAfter, cut, type Gathered, Queue, sharesOf } from './batch.ts'

const LIMITS: BatchLimits = { rows: 100, bytes: 1000, months: 2, lingerMs: 500, busyLingerMs: 1000, busyRows: 20 }
const OWNERS = [0, 1].map((partition) => ({ partition, kp: partition }))
interface Given {
  rows?: number
  bytes?: number
  months?: number[]
  sessionMonths?: number[]
  at?: number
  owner?: number
  offset?: number
}

function gathered({ rows = 10, bytes = 10, months = [202611], ...more }: Given = {}): Gathered {
  const counts = (of: number[], n: number): RowsByMonth => Object.fromEntries(of.map((month) => [month, n]))
  const offset = more.offset ?? 0
  const record = {
    rows,
    srcFrom: offset * 2,
    srcTo: offset * 2 + 1,
    hitRows: counts(months, rows / months.length),
    sessionRows: counts(more.sessionMonths ?? [], 1),
    hits: Buffer.alloc(bytes),
    sessions: Buffer.alloc(0),
  } as unknown as EnrichedRecord
  const before = { next: offset, head: offset - 1, srcMax: offset * 2 - 1 }
  return { owner: OWNERS[more.owner ?? 0]!, offset, before, record, arrivedAt: more.at ?? 0 }
}

describe('cut', () => {
  it.each<[string, Given[], number]>([
    ['takes nothing from an empty queue', [], 0],
    ['takes everything below the limits', [{}, {}, {}], 3],
    ['takes as many rows as are allowed', [{ rows: 60 }, { rows: 40 }, { rows: 1 }], 2],
    ['takes a record that is above the limit alone', [{ rows: 500 }, {}], 1],
    ['takes as many bytes as are allowed', [{ bytes: 600 }, { bytes: 500 }], 1],
    ['takes two months', [{ months: [202610] }, { months: [202611] }], 2],
    ['stops before a third month', [{ months: [202610] }, { months: [202611] }, { months: [202612] }], 2],
    ['counts the months of sessions', [{ sessionMonths: [202609] }, { months: [202610] }], 1],
    ['takes a record of three months alone', [{ months: [202609, 202610, 202611] }, {}], 1],
  ])('%s', (_title, given, expected) => {
    expect(cut(given.map(gathered), LIMITS)).toBe(expected)
  })
})

describe('Queue', () => {
  it.each<[string, Given[], number, number]>([
    ['is due never when empty', [], 7, Number.POSITIVE_INFINITY],
    ['is due when the oldest row has waited', [{ at: 100 }, { at: 400 }], 350, 250],
    ['is due at once afterwards', [{ at: 100 }], 900, 0],
    ['is due at once with enough rows', [{ rows: 60 }, { rows: 40 }], 0, 0],
    ['is due at once with enough bytes', [{ bytes: 1000 }], 0, 0],
    ['is due at once before a third month', [{ months: [202610] }, { months: [202611, 202612] }], 0, 0],
  ])('%s', (_title, given, now, expected) => {
    const queue = new Queue(LIMITS)
    for (const one of given) queue.push(gathered(one))
    expect(queue.dueInMs(now)).toBe(expected)
  })

  it('waits longer after a large batch, and shorter after a small one', () => {
    const queue = new Queue(LIMITS)
    queue.push(gathered({ rows: 50 }))
    queue.take()
    queue.push(gathered({ at: 0 }))
    expect(queue.dueInMs(0)).toBe(1000)
    queue.take()
    queue.push(gathered({ at: 0 }))
    expect(queue.dueInMs(0)).toBe(500)
  })

  it('is full at two batches, and forgets what was lost', () => {
    const queue = new Queue(LIMITS)
    for (let i = 0; i < 4; i++) queue.push(gathered({ rows: 50, owner: i % 2 }))
    expect(queue.full).toBe(true)
    queue.drop(OWNERS[0]!)
    expect([queue.full, queue.rows, queue.take().length, queue.empty]).toEqual([false, 100, 2, true])
  })

  it('keeps the limits of the guarantees', () => {
    expect(BATCH_LIMITS).toEqual({
      rows: 200_000,
      bytes: 64 * 1024 * 1024,
      months: 2,
      lingerMs: 500,
      busyLingerMs: 1_500,
      busyRows: 2_000,
    })
  })
})

describe('sharesOf', () => {
  it('sums up each partition', () => {
    const batch = [
      gathered({ owner: 1, offset: 4, months: [202610, 202611], sessionMonths: [202610] }),
      gathered({ owner: 0, offset: 7 }),
      gathered({ owner: 1, offset: 6, months: [202611], sessionMonths: [202611, 202610] }),
    ]
    const shares = sharesOf(batch)
    expect(shares.map(({ owner, before, last }) => [owner.partition, before.next, last])).toEqual([
      [0, 7, 7],
      [1, 4, 6],
    ])
    expect(shares[1]).toMatchObject({
      srcFrom: 8,
      srcTo: 13,
      hitRows: { 202610: 5, 202611: 15 },
      sessionRows: { 202610: 2, 202611: 1 },
    })
    expect(cursorAfter(shares[1]!)).toEqual({ next: 7, head: 6, srcMax: 13 })
  })
})
