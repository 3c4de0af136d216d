import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { primaryLanguage, readLanguage } from './language.ts'

const cases = readFileSync(new URL('language.tsv', import.meta.url), 'utf8')
  .replace(/\n$/, '')
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t') as [it: string, source: string, sent: string, language: string, region: string])

describe('readLanguage', () => {
  it.each(cases)('%s (%s)', (_, _source, sent, language, region) => {
    expect(readLanguage(sent)).toEqual({ language, region })
    expect(primaryLanguage(sent)).toBe(language)
  })

  it.each([undefined, null, 5, [], {}])('knows nothing of %j', (value) => {
    expect(readLanguage(value)).toEqual({ language: '', region: '' })
  })

  it('never throws, and is two or three letters and a region or nothing', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 400 }),
      fc.stringMatching(/^[a-zA-Z0-9,;q=.\-_* ]{0,60}$/),
    )
    fc.assert(
      fc.property(text, (value) => {
        const { language, region } = readLanguage(value)
        expect(language).toMatch(/^(?:[a-z]{2,3})?$/)
        expect(region).toMatch(/^(?:[A-Z]{2}|\d{3})?$/)
        expect(readLanguage(value)).toEqual({ language, region })
      }),
    )
  })

  it('answers the same after more texts than it remembers', () => {
    const before = readLanguage('de-AT, en')
    for (let i = 0; i < 6_000; i++) readLanguage(`en-${i}`)
    expect(readLanguage('de-AT, en')).toEqual(before)
  })
})
