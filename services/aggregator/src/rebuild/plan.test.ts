import { dayOfDate, LocalDays } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { lastClosedDay, planRebuild } from './plan.ts'

const at = (text: string): number => Date.parse(`${text}Z`)
const wish = { id: 'x', site: 'blog', zone: new LocalDays('Asia/Tokyo'), retentionDays: 0, from: null, to: null }

describe('lastClosedDay', () => {
  it.each([
    ['2026-11-22T11:59:59', '2026-11-18'],
    ['2026-11-22T12:00:00', '2026-11-19'],
    ['2026-11-23T11:59:59', '2026-11-19'],
  ])('is 60 hours behind what is counted: %s -> %s', (until, day) => {
    expect(lastClosedDay(at(until))).toBe(dayOfDate(day))
  })
  it('is none when nothing is known', () => {
    expect(lastClosedDay(0)).toBeLessThan(0)
  })
})

describe('planRebuild', () => {
  const now = at('2026-11-22T16:00:00')
  it('takes every closed day', () => {
    expect(planRebuild(wish, now, now)).toEqual({
      id: 'x',
      site: 'blog',
      zone: 'Asia/Tokyo',
      from: 0,
      to: dayOfDate('2026-11-19'),
      keepFrom: 0,
    })
  })
  it('keeps to the days that were asked for, as far as they are closed', () => {
    const days = { from: dayOfDate('2026-11-01'), to: dayOfDate('2026-11-30') }
    expect(planRebuild({ ...wish, ...days }, now, now)).toMatchObject({ from: days.from, to: dayOfDate('2026-11-19') })
    expect(planRebuild({ ...wish, to: days.from }, now, now)).toMatchObject({ from: 0, to: days.from })
  })
  it('goes by what is counted, not by the clock', () => {
    expect(planRebuild(wish, now, at('2026-11-10T12:00:00'))).toMatchObject({ to: dayOfDate('2026-11-07') })
    expect(planRebuild(wish, now, 0)).toBeNull()
    expect(planRebuild({ ...wish, from: dayOfDate('2026-11-20') }, now, now)).toBeNull()
  })
  it('counts retention in days of the zone, as reports do', () => {
    expect(planRebuild({ ...wish, retentionDays: 30 }, now, now)!.keepFrom).toBe(dayOfDate('2026-11-23') - 30)
  })
})
