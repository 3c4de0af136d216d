import type { StoredRecord } from '@millrace/log'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ANY_HEAD, type Cursor, follow, type Link, longestChain, startIn } from './chain.ts'
import { enriched } from './test/records.ts'

const stored = (offset: number, prev: number, srcFrom: number, srcTo: number): StoredRecord => ({
  ...enriched({ prev, srcFrom, srcTo }, []),
  offset,
})
const START: Cursor = { next: 0, head: -1, srcMax: -1 }

describe('follow', () => {
  it.each<
    [string, Cursor, StoredRecord[], { accepted: number[]; rejected: string[]; fault: string | null; next: number }]
  >([
    [
      'takes records that build on one another',
      START,
      [stored(0, -1, 0, 4), stored(1, 0, 5, 5)],
      { accepted: [0, 1], rejected: [], fault: null, next: 2 },
    ],
    [
      'leaves out what builds on something else',
      START,
      [stored(0, -1, 0, 4), stored(1, -1, 0, 6), stored(2, 1, 7, 8), stored(3, 0, 5, 8)],
      { accepted: [0, 3], rejected: ['not_next', 'not_next'], fault: null, next: 4 },
    ],
    [
      'leaves out what cannot be read',
      START,
      [{ ...stored(0, -1, 0, 4), headers: {} }, stored(1, -1, 0, 4)],
      { accepted: [1], rejected: ['unreadable'], fault: null, next: 2 },
    ],
    [
      'passes over records that come twice',
      { next: 1, head: 0, srcMax: 4 },
      [stored(0, -1, 0, 4), stored(1, 0, 5, 5)],
      { accepted: [1], rejected: [], fault: null, next: 2 },
    ],
    [
      'stops at a gap',
      START,
      [stored(0, -1, 0, 4), stored(2, 0, 5, 5)],
      { accepted: [0], rejected: [], fault: 'gap', next: 1 },
    ],
    [
      'stops where raw offsets come again',
      { next: 1, head: 0, srcMax: 4 },
      [stored(1, 0, 4, 5)],
      { accepted: [], rejected: [], fault: 'src_repeated', next: 1 },
    ],
    [
      'accepts a gap of raw offsets: the enricher was told to',
      { next: 1, head: 0, srcMax: 4 },
      [stored(1, 0, 9, 9)],
      { accepted: [1], rejected: [], fault: null, next: 2 },
    ],
    [
      'accepts what builds on something deleted when its own head was deleted',
      { next: 5, head: ANY_HEAD, srcMax: 7 },
      [stored(5, 3, 6, 7), stored(6, 4, 8, 9), stored(7, 6, 10, 10)],
      { accepted: [6, 7], rejected: ['not_next'], fault: null, next: 8 },
    ],
  ])('%s', (_title, cursor, records, expected) => {
    const followed = follow(cursor, records)
    expect({
      accepted: followed.accepted.map(({ offset }) => offset),
      rejected: followed.rejected,
      fault: followed.fault,
      next: followed.cursor.next,
    }).toEqual(expected)
  })

  it('gives the same whatever way the records are cut into deliveries', () => {
    const record = fc.tuple(fc.integer({ min: -1, max: 12 }), fc.integer({ min: 1, max: 3 }))
    fc.assert(
      fc.property(fc.array(record, { maxLength: 12 }), fc.array(fc.integer({ min: 0, max: 12 })), (all, cuts) => {
        let src = 0
        const records = all.map(([prev, n], offset) => {
          src += n
          return stored(offset, Math.min(prev, offset - 1), src - n, src - 1)
        })
        const whole = follow(START, records)
        let cursor = START
        const accepted: number[] = []
        const edges = [0, ...cuts.sort((a, b) => a - b), records.length]
        for (const [i, edge] of edges.entries()) {
          const part = follow(cursor, records.slice(edge, edges[i + 1]))
          accepted.push(...part.accepted.map(({ offset }) => offset))
          cursor = part.cursor
        }
        expect(accepted).toEqual(whole.accepted.map(({ offset }) => offset))
        expect(cursor).toEqual(whole.cursor)
      }),
    )
  })
})

const link = (offset: number, prev: number, srcFrom: number, srcTo: number): Link => ({
  offset,
  prev,
  srcFrom,
  srcTo,
  hitRows: {},
  sessionRows: {},
})

describe('startIn', () => {
  const chain = [link(0, -1, 0, 4), link(1, 0, 5, 5), link(2, 1, 6, 9)]
  const zombies = [link(0, -1, 0, 4), link(1, -1, 0, 2), link(2, 1, 3, 6), link(3, 0, 5, 8), link(4, 3, 9, 9)]
  const cutOff = [link(7, 5, 90, 91), link(8, 6, 92, 95), link(9, 8, 96, 99)]
  it.each<[string, readonly Link[], number, number, number, Cursor]>([
    ['starts at the first record for an empty store', chain, 0, 3, -1, { next: 0, head: -1, srcMax: -1 }],
    ['starts behind what the store holds', chain, 0, 3, 4, { next: 1, head: 0, srcMax: 4 }],
    ['counts a record as held that is held in part', chain, 0, 3, 7, { next: 3, head: 2, srcMax: 9 }],
    ['starts at the end when the store holds all', chain, 0, 3, 9, { next: 3, head: 2, srcMax: 9 }],
    ['follows the accepted records among others', zombies, 0, 5, 4, { next: 3, head: 0, srcMax: 4 }],
    ['takes the chain that reaches the highest raw offset', cutOff, 7, 10, 80, { next: 8, head: 6, srcMax: 80 }],
    ['starts at the end of an empty log', [], 0, 0, -1, { next: 0, head: -1, srcMax: -1 }],
    ['does not know the head when everything was deleted', [], 12, 12, 40, { next: 12, head: ANY_HEAD, srcMax: 40 }],
  ])('%s', (_title, links, low, end, maxKo, expected) => {
    expect(startIn(longestChain(links, low), end, maxKo)).toEqual(expected)
  })
})
