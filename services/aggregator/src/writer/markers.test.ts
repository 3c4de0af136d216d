import { dateOfDay, type HitRow, readRows, type SessionRow } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { hitMarkers, sessionMarkers } from './markers.ts'

const SLICES = [
  { kp: 4097, month: 202610, rows: 3, koFrom: 5, koTo: 9 },
  { kp: 4097, month: 202611, rows: 3, koFrom: 5, koTo: 9 },
]

describe('hitMarkers', () => {
  it('writes one row per slice, at the first of the month, of no site', () => {
    const rows = readRows<HitRow>(hitMarkers(SLICES))
    expect(rows.map(({ site, verdict, day, kp, ko }) => [site, verdict, dateOfDay(day), kp, ko])).toEqual([
      ['', 'marker', '2026-10-01', 4097, 9],
      ['', 'marker', '2026-11-01', 4097, 9],
    ])
  })
  it('writes nothing without slices', () => {
    expect(hitMarkers([]).length).toBe(0)
  })
})

describe('sessionMarkers', () => {
  const of = (live: [string, number][], slices = SLICES.slice(0, 1)) =>
    readRows<SessionRow>(sessionMarkers(slices, new Map(live))).map((row) => [row.sign, row.ko, row.version])
  it.each<[string, [string, number][], number[][]]>([
    ['writes the first marker of a month', [], [[1, 9, 9]]],
    ['takes the marker before back', [['4097/202610', 4]], [[-1, 4, 4], [1, 9, 9]]], // biome-ignore format: one row
    ['leaves another month alone', [['4097/202611', 4]], [[1, 9, 9]]],
    ['takes nothing back when its own is live', [['4097/202610', 9]], [[1, 9, 9]]],
  ])('%s', (_title, live, expected) => {
    expect(of(live)).toEqual(expected)
  })
  it('stands under the kp as session_id, so that the -1 meets its +1', () => {
    const rows = readRows<SessionRow>(sessionMarkers(SLICES, new Map([['4097/202610', 4]])))
    expect(new Set(rows.map(({ session_id, site }) => site + session_id))).toEqual(new Set(['0000000000001001']))
  })
  it('keeps versions below 2^32 equal for equal offsets', () => {
    const large = { kp: 1, month: 202610, rows: 1, koFrom: 0, koTo: 2 ** 33 + 7 }
    expect(of([['1/202610', 2 ** 32 + 5]], [large])).toEqual([
      [-1, 2 ** 32 + 5, 5],
      [1, 2 ** 33 + 7, 7],
    ])
  })
})
