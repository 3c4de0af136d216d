import { describe, expect, it } from 'vitest'
import { OnePerValue } from './one-per-value.ts'
import { Remembered } from './remembered.ts'
import { readScreen } from './screen.ts'
import { readTitle } from './title.ts'

describe('Remembered', () => {
  it('keeps what is asked for, and forgets what is not while as many as its maximum come twice', () => {
    const remembered = new Remembered<number>(10)
    remembered.set('asked', 1)
    remembered.set('silent', 2)
    for (let i = 0; i < 100; i++) {
      remembered.set(`t${i}`, i)
      expect(remembered.get('asked')).toBe(1)
    }
    expect(remembered.get('silent')).toBeUndefined()
    const known = Array.from({ length: 100 }, (_, i) => remembered.get(`t${i}`)).filter((n) => n !== undefined)
    expect(known.length).toBeLessThanOrEqual(20)
    expect(known).toContain(99)
  })
})

describe('OnePerValue', () => {
  it('gives the same object for equal values, and another for others', () => {
    const distinct = new OnePerValue<{ a: string; b: number }>()
    const first = distinct.of({ a: 'x', b: 1 })
    expect(distinct.of({ a: 'x', b: 1 })).toBe(first)
    expect(distinct.of({ a: 'x', b: 2 })).toEqual({ a: 'x', b: 2 })
    expect(distinct.of({ a: '', b: 1 })).toEqual({ a: '', b: 1 })
  })
})

describe('readTitle', () => {
  it.each([
    [true, 'Mail to a@example.com', 'Mail to [email]'],
    [false, 'Mail to a@example.com', 'Mail to a@example.com'],
    [true, 'x'.repeat(2_000), 'x'.repeat(1_024)],
    [true, 'broken \ud800', 'broken \ufffd'],
    [true, 5, ''],
    [false, undefined, ''],
  ])('says the same each time (mask %j, %j)', (mask, sent, kept) => {
    for (let i = 0; i < 3; i++) expect(readTitle(sent, mask)).toBe(kept)
  })
})

describe('readScreen', () => {
  it('gives the same object for the same screen, and bounds how many ratios of one size it keeps', () => {
    const sent = { screen_width: 800, screen_height: 600, pixel_ratio: 2 }
    expect(readScreen({ ...sent }, '')).toBe(readScreen({ ...sent }, ''))
    expect(readScreen(sent, '')).not.toBe(readScreen({ ...sent, pixel_ratio: 3 }, ''))
    for (let i = 1; i < 200; i++) expect(readScreen({ ...sent, pixel_ratio: i / 7 }, '').pixelRatio).toBe(i / 7)
    expect(readScreen(sent, '')).toEqual({
      width: 800,
      height: 600,
      class: 'md',
      pixelRatio: 2,
      orientation: 'landscape',
    })
  })
})
