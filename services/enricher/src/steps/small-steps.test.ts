import { hash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { primaryLanguage } from './language.ts'
import { readProperties, readTags } from './properties.ts'
import { readCount, readMeasure, readText } from './text.ts'
import { occurredAt, receivedAt } from './time.ts'
import { readUuid } from './uuid.ts'
import { VisitorIds } from './visitor.ts'

const HOUR = 3_600_000
const T = 1_795_219_200_000

describe('receivedAt', () => {
  it.each([
    ['the append time', T, false, T - HOUR, T],
    ["a spool's own clock when it is earlier", T, true, T - HOUR, T - HOUR],
    ['the append time when the clock is ahead', T, true, T + HOUR, T],
    ['at most a day before the append', T, true, 0, T - 24 * HOUR],
    ['the append time when the clock is no number', T, true, Number.NaN, T],
  ])('is %s', (_, appended, spooled, collected, expected) => {
    expect(receivedAt(appended, spooled, collected)).toBe(expected)
  })
})

describe('occurredAt', () => {
  it.each([
    ['without clocks', undefined, undefined, T],
    ['without sent_at', undefined, 5, T],
    ['with a delay', 1_000, 400, T - 600],
    ['with a clock that runs backwards', 400, 1_000, T],
    ['with a year of delay', 366 * 24 * HOUR, 0, T - 24 * HOUR],
    ['with fractions', 1_000, 0.6, T - 999],
    ['with texts', '1000', '0', T],
  ])('is right %s', (_, sent, created, expected) => {
    expect(occurredAt(T, sent, created)).toBe(expected)
  })
})

describe('readText', () => {
  it.each([
    ['abc', 2, 'ab'],
    ['a\ud800b', 9, 'a\ufffdb'],
    ['a😀', 2, 'a\ufffd'],
    [undefined, 9, ''],
    [7, 9, ''],
  ])('makes of %j at most %i', (value, max, expected) => {
    expect(readText(value, max)).toBe(expected)
  })
})

describe('readCount and readMeasure', () => {
  it.each([
    [3.7, 3, 3.7],
    [-1, 0, 0],
    [1e9, 100, 100],
    [Number.NaN, 0, 0],
    ['5', 0, 0],
    [null, 0, 0],
  ])('read %j', (value, count, measure) => {
    expect(readCount(value, 100)).toBe(count)
    expect(readMeasure(value, 100)).toBe(measure)
  })
})

describe('primaryLanguage', () => {
  it.each([
    ['de-AT', 'de'],
    ['EN', 'en'],
    ['de-AT,de;q=0.9', 'de'],
    ['gsw', 'gsw'],
    ['zh_CN', 'zh'],
    ['*', ''],
    ['english', ''],
    ['', ''],
    [undefined, ''],
  ])('of %j is %j', (tag, expected) => {
    expect(primaryLanguage(tag)).toBe(expected)
  })
})

describe('readProperties and readTags', () => {
  it('part texts and flags from numbers, and leave out the rest', () => {
    const properties = readProperties(
      JSON.parse('{"plan":"pro","seats":3,"trial":true,"none":null,"list":[1],"__proto__":"x"}'),
      true,
    )
    expect(Object.entries(properties.text)).toEqual([
      ['plan', 'pro'],
      ['trial', 'true'],
      ['__proto__', 'x'],
    ])
    expect(Object.entries(properties.number)).toEqual([['seats', 3]])
  })

  it('keep the limits', () => {
    const many = Object.fromEntries(Array.from({ length: 99 }, (_, i) => [`k${i}`, 'v'.repeat(9_999)]))
    expect(Object.keys(readProperties(many, true).text)).toHaveLength(30)
    expect(Object.values(readTags(many, true)).map((value) => value.length)).toEqual(Array(20).fill(512))
  })

  it.each([null, undefined, 5, 'x', [1]])('are empty for %j', (value) => {
    expect([readProperties(value, true), readTags(value, true)]).toEqual([{ text: {}, number: {} }, {}])
  })
})

describe('readUuid', () => {
  it.each([
    ['01932C07-0000-7000-8000-00000000000A', '01932c07-0000-7000-8000-00000000000a'],
    ['01932c07-0000-7000-8000-00000000000', null],
    ['01932c07-0000-7000-8000-00000000000g', null],
    ['01932c0700000-7000-8000-00000000000a', null],
    [5, null],
  ])('of %j is %j', (value, expected) => {
    expect(readUuid(value)?.toString() ?? null).toBe(expected)
  })
})

describe('VisitorIds', () => {
  const salt = Buffer.alloc(32, 7)
  const salts = { saltOf: (day: number) => (day === 3 ? salt : null) }
  const expected = (text: string): string =>
    hash('sha256', Buffer.concat([salt, Buffer.from(text)]), 'hex').slice(0, 16)

  it('are the first 64 bits of sha256(salt 0 site 0 ip 0 user agent)', () => {
    expect(new VisitorIds(salts, 'blog', '203.0.113.9', 'Möz').on(3)?.toString()).toBe(
      expected('\0blog\x00203.0.113.9\0Möz'),
    )
  })

  it('are the same for an agent of any length', () => {
    const long = 'ä'.repeat(50_000)
    expect(new VisitorIds(salts, 'blog', '::1', long).on(3)?.toString()).toBe(expected(`\0blog\0::1\0${long}`))
  })

  it('are thrown away where the salt is gone', () => {
    const first = new VisitorIds(salts, 'blog', '::1', '')
    const second = new VisitorIds(salts, 'blog', '::1', '')
    expect(first.on(4)).toBeNull()
    expect(`${first.own(4)}`).toMatch(/^[0-9a-f]{16}$/)
    expect(first.own(4)).not.toEqual(first.own(4))
    expect(first.own(4)).not.toEqual(second.own(4))
  })

  it('are gone with the salt, also those that were asked for before', () => {
    const kept = new Map([[3, Buffer.alloc(32, 3)]])
    const ids = new VisitorIds({ saltOf: (day) => kept.get(day) ?? null }, 'blog', '::1', '')
    expect(`${ids.on(3)}`).toMatch(/^[0-9a-f]{16}$/)
    kept.clear()
    expect(ids.on(3)).toBeNull()
  })
})
