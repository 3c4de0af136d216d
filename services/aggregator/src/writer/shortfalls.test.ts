import type { Target } from '@millrace/store'
import { describe, expect, it } from 'vitest'
import type { Link } from './chain.ts'
import { shortfallsOf } from './shortfalls.ts'

const TARGETS = (
  [
    ['hits', 'hits_in'],
    ['daily_hits', 'hits_in'],
    ['sessions', 'sessions_in'],
  ] as const
).map(([name, source]): Target => ({ name, source, select: '', columns: [] }))
const link = (offset: number, months: number[], sessionMonths: number[] = []): Link => ({
  offset,
  prev: offset - 1,
  srcFrom: offset * 10,
  srcTo: offset * 10 + 9,
  hitRows: Object.fromEntries(months.map((month) => [month, 1])),
  sessionRows: Object.fromEntries(sessionMonths.map((month) => [month, 1])),
})
const CHAIN = [link(0, [10], [10]), link(1, [10, 11], [10]), link(2, [11], [11])]
type Marks = Record<string, number>

describe('shortfallsOf', () => {
  it.each<[string, { hits: Marks; daily_hits: Marks; sessions: Marks; maxKo: number }, string[]]>([
    [
      'finds nothing when all slices reach as far as they should',
      { hits: { 10: 17, 11: 28 }, daily_hits: { 10: 19, 11: 29 }, sessions: { 10: 19, 11: 29 }, maxKo: 29 },
      [],
    ],
    [
      'finds the month that was not written',
      { hits: { 10: 17 }, daily_hits: { 10: 19, 11: 29 }, sessions: { 10: 19, 11: 29 }, maxKo: 29 },
      ['hits 11: 1,2'],
    ],
    [
      'finds the table that was not written',
      { hits: { 10: 17, 11: 28 }, daily_hits: { 10: 19, 11: 29 }, sessions: { 10: 9 }, maxKo: 29 },
      ['sessions 10: 1', 'sessions 11: 2'],
    ],
    [
      'leaves what lies behind the store to the chain',
      { hits: { 10: 9 }, daily_hits: { 10: 9 }, sessions: { 10: 9 }, maxKo: 9 },
      [],
    ],
    [
      'does not bring back hits that were deleted later',
      { hits: { 11: 28 }, daily_hits: { 10: 19, 11: 29 }, sessions: { 10: 19, 11: 29 }, maxKo: 29 },
      [],
    ],
  ])('%s', (_title, { hits, daily_hits, sessions, maxKo }, expected) => {
    const of = (marks: Marks) => new Map(Object.entries(marks).map(([month, ko]) => [`7/${month}`, ko]))
    const marks = new Map([
      ['daily_hits', of(daily_hits)],
      ['sessions', of(sessions)],
    ])
    const found = shortfallsOf(7, TARGETS, { chain: CHAIN, marks, hits: of(hits), maxKo })
    expect(found.map((one) => `${one.target.name} ${one.month}: ${one.links.map(({ offset }) => offset)}`)).toEqual(
      expected,
    )
  })
})
