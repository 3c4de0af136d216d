import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { dateOfDay, dayOfDate, LocalDays } from './calendar.ts'

describe('LocalDays', () => {
  test.each([
    ['UTC', '2026-11-22T23:59:59.999Z', '2026-11-22'],
    ['UTC', '2026-11-23T00:00:00.000Z', '2026-11-23'],
    ['Europe/Vienna', '2026-11-22T22:59:59.999Z', '2026-11-22'],
    ['Europe/Vienna', '2026-11-22T23:00:00.000Z', '2026-11-23'],
    ['Europe/Vienna', '2026-03-28T22:59:59.999Z', '2026-03-28'], // the night in which summer time begins
    ['Europe/Vienna', '2026-03-29T22:00:00.000Z', '2026-03-30'],
    ['Asia/Kolkata', '2026-11-22T18:30:00.000Z', '2026-11-23'],
    ['Asia/Kathmandu', '2026-11-22T18:15:00.000Z', '2026-11-23'],
    ['America/New_York', '2026-11-01T03:59:59.999Z', '2026-10-31'],
    ['America/New_York', '2026-11-02T05:00:00.000Z', '2026-11-02'],
    ['Pacific/Kiritimati', '2026-11-22T10:00:00.000Z', '2026-11-23'],
    ['Australia/Lord_Howe', '2026-04-04T15:00:00.000Z', '2026-04-05'], // summer time of half an hour ends there
    ['America/St_Johns', '2010-11-07T02:30:59.999Z', '2010-11-07'], // summer time ended there at 00:01: 6 Nov comes again
    ['America/St_Johns', '2010-11-07T02:31:00.000Z', '2010-11-06'],
    ['UTC', '1969-12-31T23:59:59.999Z', '1969-12-31'],
  ])('it knows the date in %s at %s', (zone, time, date) => {
    expect(dateOfDay(new LocalDays(zone).dayOf(Date.parse(time)))).toBe(date)
  })

  test('it agrees with Intl at any time', () => {
    const zones = ['Europe/Vienna', 'Asia/Kolkata', 'America/St_Johns', 'Australia/Lord_Howe', 'Pacific/Chatham']
    const days = new Map(zones.map((zone) => [zone, new LocalDays(zone)]))
    const dates = new Map(zones.map((zone) => [zone, new Intl.DateTimeFormat('en-CA', { timeZone: zone })]))
    fc.assert(
      fc.property(fc.constantFrom(...zones), fc.integer({ min: 0, max: 4_000_000_000_000 }), (zone, time) => {
        expect(dateOfDay(days.get(zone)!.dayOf(time))).toBe(dates.get(zone)!.format(time))
      }),
    )
  })

  test('it refuses an unknown zone', () => expect(() => new LocalDays('Mars/Olympus')).toThrow(RangeError))
})

test('dayOfDate is the inverse of dateOfDay', () => {
  expect(dayOfDate('1970-01-01')).toBe(0)
  expect(dateOfDay(dayOfDate('2028-02-29'))).toBe('2028-02-29')
})
