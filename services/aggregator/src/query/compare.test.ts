import { describe, expect, test } from 'vitest'
import { type BucketUnit, bucketsOf } from './buckets.ts'
import { growth, pairBuckets, previousOf } from './compare.ts'
import { parseQuery } from './parse-query.ts'

const NOW = Date.parse('2026-03-31T12:00:00Z')
const parse = (body: object, nowMs = NOW) =>
  parseQuery({ metrics: ['visitors'], ...body }, { nowMs, siteZone: 'Europe/Vienna' })

function previous(body: object, nowMs = NOW) {
  const query = parse(body, nowMs)
  return { query, now: query.range!, before: previousOf(query, query.range!, query.compare!) }
}

describe('the period before', () => {
  test.each([
    [{ period: 'today', compare: 'previous_period' }, '2026-03-29T22:00 2026-03-30T22:00'],
    [{ period: '7d', compare: 'previous_period' }, '2026-03-17T23:00 2026-03-24T23:00'],
    [{ period: '24h', compare: 'previous_period' }, '2026-03-29T12:00 2026-03-30T12:00'],
    [{ period: 'month_to_date', compare: 'previous_period' }, '2026-01-31T23:00 2026-02-28T23:00'],
    [{ period: 'year_to_date', compare: 'previous_period' }, '2024-12-31T23:00 2025-03-31T22:00'],
    [{ period: '12mo', compare: 'previous_period' }, '2024-03-31T22:00 2025-03-31T22:00'],
    [{ period: '7d', compare: 'previous_year' }, '2025-03-24T23:00 2025-03-31T22:00'],
    [
      { period: { from: '2024-02-29', to: '2024-02-29' }, compare: 'previous_year' },
      '2023-02-27T23:00 2023-02-28T23:00',
    ],
    [
      { period: { from: '2026-03-01T10:00:00Z', to: '2026-03-01T12:00:00Z' }, compare: 'previous_period' },
      '2026-03-01T08:00 2026-03-01T10:00',
    ],
    [
      { period: { from: '2026-03-01T10:00:00Z', to: '2026-03-01T12:00:00Z' }, compare: 'previous_year' },
      '2025-03-01T10:00 2025-03-01T12:00',
    ],
    [{ period: '7d', compare: { from: '2026-01-01', to: '2026-01-02' } }, '2025-12-31T23:00 2026-01-02T23:00'],
  ])('of %j is %s', (body, expected) => {
    const { fromMs, toMs } = previous(body).before.range
    expect(`${new Date(fromMs).toISOString()} ${new Date(toMs).toISOString()}`.replaceAll(':00.000Z', '')).toBe(
      expected,
    )
  })

  test.each<[string, object, BucketUnit, (string | null)[]]>([
    [
      'days by position',
      { period: '7d', compare: 'previous_period' },
      'day',
      ['18', '19', '20', '21', '22', '23', '24'].map((d) => `2026-03-${d}`),
    ],
    [
      'days of a shorter month by their number, the last three with nothing',
      { period: { from: '2026-03-26', to: '2026-03-31' }, compare: 'previous_year' },
      'day',
      ['26', '27', '28', '29', '30', '31'].map((d) => `2025-03-${d}`),
    ],
    ['weeks by position', { period: '7d', compare: 'previous_period' }, 'week', ['2026-03-16', '2026-03-23']],
    [
      'hours that the day does not have with nothing',
      { period: { from: '2026-03-30', to: '2026-03-30' }, compare: 'previous_period' },
      'hour',
      Array.from({ length: 24 }, (_, h) => (h === 2 ? null : `2026-03-29T${String(h).padStart(2, '0')}:00`)),
    ],
  ])('pairs %s', (_, body, unit, expected) => {
    const { query, now, before } = previous(body)
    const buckets = bucketsOf(unit, before.range, query.zone)
    const pairs = pairBuckets(unit, bucketsOf(unit, now, query.zone), buckets, before)
    expect(pairs.map((i) => (i === null ? null : buckets[i]!.label))).toEqual(expected)
  })

  test('pairs the days of March with those of February, and the last three with nothing', () => {
    const { query, now, before } = previous({ period: 'month_to_date', compare: 'previous_period' })
    const buckets = bucketsOf('day', before.range, query.zone)
    const pairs = pairBuckets('day', bucketsOf('day', now, query.zone), buckets, before)
    expect(pairs).toEqual([...Array.from({ length: 28 }, (_, i) => i), null, null, null])
  })

  test('pairs the hour that comes twice with itself', () => {
    const { query, now, before } = previous({
      period: { from: '2026-10-25', to: '2026-10-25' },
      compare: 'previous_period',
    })
    const pairs = pairBuckets(
      'hour',
      bucketsOf('hour', now, query.zone),
      bucketsOf('hour', before.range, query.zone),
      before,
    )
    expect(pairs.slice(0, 5)).toEqual([0, 1, 2, null, 3])
  })
})

describe('growth', () => {
  test.each([
    [12, 10, 0.2],
    [5, 10, -0.5],
    [0, 10, -1],
    [3, 0, null],
    [0, 0, null],
    [null, 4, null],
    [4, null, null],
  ])('of %s against %s is %s', (now, before, expected) => {
    expect(growth(now, before)).toBe(expected)
  })
})
