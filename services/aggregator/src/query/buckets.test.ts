import { dayOfDate } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type BucketUnit, bucketsOf } from './buckets.ts'
import { type Period, resolvePeriod, wholeDays } from './period.ts'
import { timeLabel } from './plain-recount.fixture.ts'
import { findZone } from './zones.ts'

const bucketsIn = (unit: BucketUnit, period: Period, zone: string) =>
  bucketsOf(unit, resolvePeriod(period, findZone(zone)!, 0), findZone(zone)!)
const labels = (unit: BucketUnit, period: Period, zone: string) =>
  bucketsIn(unit, period, zone).map(({ label }) => label)

describe('buckets', () => {
  test.each<[BucketUnit, Period, string, string[]]>([
    ['day', { from: '2026-10-24', to: '2026-10-26' }, 'Europe/Vienna', ['2026-10-24', '2026-10-25', '2026-10-26']],
    ['day', { from: '2011-12-29', to: '2011-12-31' }, 'Pacific/Apia', ['2011-12-29', '2011-12-31']],
    ['week', { from: '2026-11-01', to: '2026-11-09' }, 'Europe/Vienna', ['2026-10-26', '2026-11-02', '2026-11-09']],
    ['month', { from: '2025-12-31', to: '2026-02-01' }, 'Asia/Kolkata', ['2025-12', '2026-01', '2026-02']],
    ['year', { from: '2025-12-31', to: '2026-02-01' }, 'America/New_York', ['2025', '2026']],
    [
      'hour',
      { from: '2026-11-14T08:10:00Z', to: '2026-11-14T09:20:00Z' },
      'Asia/Kolkata',
      ['2026-11-14T13:00', '2026-11-14T14:00'],
    ],
    [
      'hour',
      { from: '2026-03-29T00:30:00Z', to: '2026-03-29T01:30:00Z' },
      'Europe/Vienna',
      ['2026-03-29T01:00', '2026-03-29T03:00'],
    ],
    [
      'hour',
      { from: '2026-10-25T00:00:00Z', to: '2026-10-25T02:00:00Z' },
      'Europe/Vienna',
      ['2026-10-25T02:00', '2026-10-25T02:00'],
    ],
    [
      'minute',
      { from: '2026-11-14T09:59:59.999Z', to: '2026-11-14T10:00:00.001Z' },
      'UTC',
      ['2026-11-14T09:59', '2026-11-14T10:00'],
    ],
    // Lord Howe's clocks move by half an hour, at 2 o'clock.
    [
      'hour',
      { from: '2026-04-04T14:00:00Z', to: '2026-04-04T16:00:00Z' },
      'Australia/Lord_Howe',
      ['2026-04-05T01:00', '2026-04-05T01:00', '2026-04-05T02:00'],
    ],
    [
      'hour',
      { from: '2026-10-03T15:00:00Z', to: '2026-10-03T16:30:00Z' },
      'Australia/Lord_Howe',
      ['2026-10-04T01:00', '2026-10-04T02:00', '2026-10-04T03:00'],
    ],
  ])('of a %s in %j, %s', (unit, period, zone, expected) => {
    expect(labels(unit, period, zone)).toEqual(expected)
  })

  test.each([
    ['Europe/Vienna', '2026-03-29', 23],
    ['Europe/Vienna', '2026-10-25', 25],
    ['America/New_York', '2026-03-08', 23],
    ['America/New_York', '2026-11-01', 25],
    ['Asia/Kolkata', '2026-11-01', 24],
    ['Australia/Lord_Howe', '2026-04-05', 25],
    ['Australia/Lord_Howe', '2026-10-04', 24],
  ])('of the hours in %s on %s are %i', (zone, date, count) => {
    expect(labels('hour', { from: date, to: date }, zone)).toHaveLength(count)
  })

  test('follow each other without gap or overlap, and hold the times that a clock on the wall shows under their label', () => {
    const zones = ['Europe/Vienna', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe', 'UTC', 'Africa/Cairo']
    const units: BucketUnit[] = ['minute', 'hour', 'day', 'week', 'month', 'year']
    const span = { minute: 0.1, hour: 4, day: 60, week: 200, month: 500, year: 2_000 }
    fc.assert(
      fc.property(
        fc.constantFrom(...zones),
        fc.constantFrom(...units),
        fc.integer({ min: Date.UTC(2024, 0), max: Date.UTC(2028, 0) }),
        fc.double({ min: 0.001, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
        (zone, unit, from, length, where) => {
          const to = from + Math.ceil(length * span[unit] * 86_400_000)
          const buckets = bucketsIn(unit, { from, to }, zone)
          const starts = buckets.map(({ start }) => start)
          expect(starts).toEqual([...new Set(starts)].sort((a, b) => a - b))
          expect(starts[0]! * 1000).toBeLessThanOrEqual(from)
          const time = from + Math.floor(where * (to - from))
          const bucket = buckets.findLast(({ start }) => start * 1000 <= time)!
          expect(bucket.label).toBe(String(timeLabel(unit, time, zone)).replace('~', ''))
        },
      ),
      { numRuns: 300, seed: 3 },
    )
  })

  test('of a year of hours are made in well under a second', () => {
    expect(bucketsIn('hour', { from: '2026-01-01', to: '2026-12-31' }, 'Europe/Vienna')).toHaveLength(8_760)
  })
})

test.each([
  ['monday', ['2026-10-26', '2026-11-02']],
  ['saturday', ['2026-10-31', '2026-11-07']],
  ['sunday', ['2026-10-25', '2026-11-01', '2026-11-08']],
] as const)('weeks that begin with %s', (weekStart, labels) => {
  const zone = findZone('Europe/Vienna')!
  const range = wholeDays(zone, dayOfDate('2026-10-31'), dayOfDate('2026-11-08'))
  expect(bucketsOf('week', range, zone, weekStart).map(({ label }) => label)).toEqual(labels)
})
