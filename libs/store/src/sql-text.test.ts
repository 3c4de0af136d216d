import { describe, expect, it } from 'vitest'
import { identifier, literal, parameterText, plainName, settingValue } from './sql-text.ts'

describe('literals', () => {
  it.each([
    ['', `''`],
    [`it's`, `'it\\'s'`],
    ['back\\', `'back\\\\'`],
    [`\\'; DROP TABLE x; --`, `'\\\\\\'; DROP TABLE x; --'`],
  ])('%j stays inside its quotes', (text, sql) => {
    expect(literal(text)).toBe(sql)
  })

  it('identifiers stay inside their backticks', () => {
    expect(identifier('a`b\\')).toBe('`a\\`b\\\\`')
  })

  it('settings are numbers or literals', () => {
    expect([settingValue(0), settingValue(16 * 1024 ** 3), settingValue('')]).toEqual(['0', '17179869184', `''`])
  })

  it.each(['', '1a', 'a b', 'a=1', 'a;b', 'ä'])('%j is not the name of a setting', (name) => {
    expect(() => plainName(name)).toThrow(RangeError)
  })
})

describe('parameterText', () => {
  it.each<[string, unknown]>([
    ['a\\tb\\nc\\\\', 'a\tb\nc\\'],
    ['\\N', null],
    ['1', true],
    ['-1.5', -1.5],
    ['nan', Number.NaN],
    ['+inf', Number.POSITIVE_INFINITY],
    ['-inf', Number.NEGATIVE_INFINITY],
    ['18446744073709551615', 2n ** 64n - 1n],
    [`['a','b\\'c',NULL,TRUE]`, ['a', `b'c`, null, true]],
    ['[[1],[]]', [[1], []]],
  ])('writes %s as ClickHouse reads parameters', (text, value) => {
    expect(parameterText(value)).toBe(text)
  })

  it('refuses values that no parameter has', () => {
    expect(() => parameterText({ a: 1 })).toThrow(RangeError)
    expect(() => parameterText(() => 1)).toThrow(RangeError)
  })
})
