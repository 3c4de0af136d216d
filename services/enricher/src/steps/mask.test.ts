import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isCardNumber, maskText } from './mask.ts'
import { readProperties, readTags } from './properties.ts'

describe('maskText', () => {
  it.each([
    // Test numbers that the networks publish (docs.stripe.com/testing, docs.adyen.com).
    ['4242424242424242', '[card]'],
    ['4000 0566 5566 5556', '[card]'],
    ['5555-5555-5555-4444', '[card]'],
    ['2223003122003222', '[card]'],
    ['378282246310005', '[card]'],
    ['3782 822463 10005', '[card]'],
    ['6011111111111117', '[card]'],
    ['36227206271667', '[card]'],
    ['3566002020360505', '[card]'],
    ['6200000000000005', '[card]'],
    ['paid with 4242424242424242.', 'paid with [card].'],
    ['jane@example.com', '[email]'],
    ['Jane.Doe+news@mail.example.co.uk', '[email]'],
    ['write to jane@example.com, or jörg@bücher.example', 'write to [email], or [email]'],
    ['mailto:jane@example.com?subject=x', 'mailto:[email]?subject=x'],
  ])('masks %j', (text, expected) => {
    expect(maskText(text)).toBe(expected)
  })

  it.each([
    '4242424242424241', // wrong check digit
    '1234567812345670', // right check digit, no issuer
    '1795219200123', // a time in milliseconds
    '42424242424242420000', // too long
    '4242424242424242.50', // a number with decimals
    '+43 660 1234567',
    '2026-11-22 10:00:00',
    '01932c07-0000-7000-8000-00000000000a',
    'DE89370400440532013000', // IBAN
    '@millrace',
    'me@home',
    'a @ b.example',
    'size 4x4 @2x.png',
    '',
  ])('leaves %j', (text) => {
    expect(maskText(text)).toBe(text)
  })

  it('finds every number that has an issuer and the right check digit, in any text', () => {
    const card = fc
      .tuple(fc.constantFrom('4', '51', '2221', '3528'), fc.integer({ min: 0, max: 10 ** 11 }))
      .map(([start, n]) => {
        const body = `${start}${String(n).padStart(11, '0')}000`.slice(0, 15)
        return [...'0123456789'].map((digit) => body + digit).find(isCardNumber)!
      })
    const around = fc.string({ maxLength: 8, unit: fc.constantFrom(...'ab: ,') })
    fc.assert(
      fc.property(around, card, around, (before, number, after) => {
        expect(maskText(`${before}${number}${after}`)).toBe(`${before}[card]${after}`)
      }),
    )
  })

  it('never throws, and changes nothing twice', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...'a@.4 -1ä\ud800') }), (text) => {
        expect(maskText(maskText(text))).toBe(maskText(text))
      }),
    )
  })
})

describe('readProperties and readTags', () => {
  const sent = { mail: 'j@b.example', card: 4242424242424242, seats: 4242, note: 'x' }

  it('mask values, never keys', () => {
    const { text, number } = readProperties(sent, true)
    expect([{ ...text }, { ...number }]).toEqual([{ mail: '[email]', card: '[card]', note: 'x' }, { seats: 4242 }])
    expect({ ...readTags({ mail: 'j@b.example', 'a@b.example': 'x' }, true) }).toEqual({
      mail: '[email]',
      'a@b.example': 'x',
    })
  })

  it('mask nothing where the site says so', () => {
    const { text, number } = readProperties(sent, false)
    expect([{ ...text }, { ...number }]).toEqual([
      { mail: 'j@b.example', note: 'x' },
      { card: 4242424242424242, seats: 4242 },
    ])
    expect({ ...readTags({ mail: 'j@b.example' }, false) }).toEqual({ mail: 'j@b.example' })
  })
})
