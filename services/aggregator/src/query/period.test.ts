import { describe, expect, test } from 'vitest'
import { NAMED_PERIODS, type Period, resolvePeriod } from './period.ts'
import { findZone } from './zones.ts'

const at = (text: string): number => Date.parse(text)
const show = (period: Period, zone: string, now: string, firstDay?: number): string => {
  const { fromMs, toMs } = resolvePeriod(period, findZone(zone)!, at(now), firstDay)
  return `${new Date(fromMs).toISOString()} ${new Date(toMs).toISOString()}`.replaceAll(':00.000Z', '')
}

describe('a period', () => {
  test.each<[Period, string, string, string]>([
    // Vienna is an hour ahead of UTC in winter, two in summer.
    ['today', 'Europe/Vienna', '2026-11-14T12:00:00Z', '2026-11-13T23:00 2026-11-14T23:00'],
    ['today', 'Europe/Vienna', '2026-11-14T23:30:00Z', '2026-11-14T23:00 2026-11-15T23:00'],
    ['today', 'UTC', '2026-11-14T23:59:59.999Z', '2026-11-14T00:00 2026-11-15T00:00'],
    ['yesterday', 'America/New_York', '2026-11-14T03:00:00Z', '2026-11-12T05:00 2026-11-13T05:00'],
    ['24h', 'Europe/Vienna', '2026-11-14T12:34:30.500Z', '2026-11-13T12:35 2026-11-14T12:35'],
    ['24h', 'Europe/Vienna', '2026-11-14T12:34:00Z', '2026-11-13T12:34 2026-11-14T12:34'],
    ['7d', 'Europe/Vienna', '2026-11-14T12:00:00Z', '2026-11-07T23:00 2026-11-14T23:00'],
    ['7d', 'Europe/Vienna', '2026-10-27T12:00:00Z', '2026-10-20T22:00 2026-10-27T23:00'],
    ['30d', 'UTC', '2026-03-01T00:00:00Z', '2026-01-31T00:00 2026-03-02T00:00'],
    ['90d', 'Asia/Kolkata', '2026-11-14T12:00:00Z', '2026-08-16T18:30 2026-11-14T18:30'],
    ['12mo', 'UTC', '2026-11-14T12:00:00Z', '2025-12-01T00:00 2026-11-15T00:00'],
    ['12mo', 'UTC', '2026-01-31T12:00:00Z', '2025-02-01T00:00 2026-02-01T00:00'],
    ['month_to_date', 'Australia/Lord_Howe', '2026-11-14T12:00:00Z', '2026-10-31T13:00 2026-11-14T13:00'],
    ['year_to_date', 'America/New_York', '2026-11-14T12:00:00Z', '2026-01-01T05:00 2026-11-15T05:00'],
    [
      { from: '2026-03-29', to: '2026-03-29' },
      'Europe/Vienna',
      '2026-11-14T12:00:00Z',
      '2026-03-28T23:00 2026-03-29T22:00',
    ],
    [
      { from: '2026-10-25', to: '2026-10-25' },
      'Europe/Vienna',
      '2026-11-14T12:00:00Z',
      '2026-10-24T22:00 2026-10-25T23:00',
    ],
    [
      { from: '2026-11-01', to: '2026-11-14' },
      'Asia/Kolkata',
      '2026-11-14T12:00:00Z',
      '2026-10-31T18:30 2026-11-14T18:30',
    ],
    [
      { from: '2026-11-01T09:00:00+01:00', to: '2026-11-01t09:30:00z' },
      'UTC',
      '2026-11-14T12:00:00Z',
      '2026-11-01T08:00 2026-11-01T09:30',
    ],
    [{ from: 1793523600000, to: 1793527200000 }, 'UTC', '2026-11-14T12:00:00Z', '2026-11-01T09:00 2026-11-01T10:00'],
    [
      { from: '2026-11-01', to: '2026-11-01T10:00:00Z' },
      'Europe/Vienna',
      '2026-11-14T12:00:00Z',
      '2026-10-31T23:00 2026-11-01T10:00',
    ],
    // Cairo's clocks go forward at midnight: the day begins at 1 o'clock.
    [
      { from: '2026-04-24', to: '2026-04-24' },
      'Africa/Cairo',
      '2026-11-14T12:00:00Z',
      '2026-04-23T22:00 2026-04-24T21:00',
    ],
    // Samoa had no December 30, 2011.
    [
      { from: '2011-12-29', to: '2011-12-31' },
      'Pacific/Apia',
      '2026-11-14T12:00:00Z',
      '2011-12-29T10:00 2011-12-31T10:00',
    ],
    [
      { from: '1970-01-01', to: '1970-01-01' },
      'Asia/Tokyo',
      '2026-11-14T12:00:00Z',
      '1970-01-01T00:00 1970-01-01T15:00',
    ],
  ])('%j in %s at %s is %s', (period, zone, now, expected) => {
    expect(show(period, zone, now)).toBe(expected)
  })

  test('all begins with the first day of data, and is today without any', () => {
    expect(show('all', 'UTC', '2026-11-14T12:00:00Z', 20_000)).toBe('2024-10-04T00:00 2026-11-15T00:00')
    expect(show('all', 'UTC', '2026-11-14T12:00:00Z')).toBe('2026-11-14T00:00 2026-11-15T00:00')
  })

  test.each<[Period, string, string]>([
    [{ from: '2026-02-30', to: '2026-03-01' }, '/from', 'calendar'],
    [{ from: '2026-03-01', to: '2026-13-01' }, '/to', 'calendar'],
    [{ from: '2026-03-02', to: '2026-03-01' }, '/to', 'before'],
    [{ from: '2026-03-01T00:00:00Z', to: '2026-03-01T00:00:00Z' }, '/to', 'before'],
    [{ from: '2026-03-01T09:00', to: '2026-03-02' }, '/from', 'offset'],
    [{ from: '2026-03-01T25:00:00Z', to: '2026-03-02' }, '/from', 'clock'],
    [{ from: '2026-02-30T09:00:00Z', to: '2026-03-02' }, '/from', 'calendar'],
    [{ from: 'yesterday', to: '2026-03-02' }, '/from', 'date'],
    [{ from: 1.5, to: 2 }, '/from', 'whole'],
    [{ from: -1e15, to: 2 }, '/from', '1970'],
    [{ from: 0, to: 5e15 }, '/to', '2100'],
    [{ from: '2026-03-01', to: '2101-01-01' }, '/to', '2100'],
  ])('%j is refused at %s', (period, pointer, word) => {
    expect(() => show(period, 'UTC', '2026-11-14T12:00:00Z')).toThrow(
      expect.objectContaining({ name: 'PeriodError', pointer, message: expect.stringContaining(word) }),
    )
  })

  test('knows whether it is made of whole local days', () => {
    const now = at('2026-11-14T12:00:00Z')
    const vienna = findZone('Europe/Vienna')!
    for (const period of NAMED_PERIODS) expect(resolvePeriod(period, vienna, now).days === null).toBe(period === '24h')
    const day = { from: '2026-10-24T22:00:00Z', to: '2026-10-25T23:00:00Z' }
    expect(resolvePeriod(day, vienna, now).days).toEqual({ first: 20_751, last: 20_751 })
    expect(resolvePeriod(day, findZone('UTC')!, now).days).toBeNull()
  })
})
