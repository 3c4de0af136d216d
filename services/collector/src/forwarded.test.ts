import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readForwarded } from './forwarded.ts'

describe('readForwarded', () => {
  it.each<[string, string[] | null]>([
    // RFC 7239, sections 4 and 6.
    ['for="_gazonk"', ['_gazonk']],
    ['For="[2001:db8:cafe::17]:4711"', ['[2001:db8:cafe::17]:4711']],
    ['for=192.0.2.60;proto=http;by=203.0.113.43', ['192.0.2.60']],
    ['for=192.0.2.43, for=198.51.100.17', ['192.0.2.43', '198.51.100.17']],
    ['for=192.0.2.43,for="[2001:db8:cafe::17]",for=unknown', ['192.0.2.43', '[2001:db8:cafe::17]', 'unknown']],
    ['for=_hidden, for=_SEVKISEK', ['_hidden', '_SEVKISEK']],
    ['by=203.0.113.43;FOR="192.0.2.47:47011"', ['192.0.2.47:47011']],
    // As senders write it.
    ['for=192.0.2.43:80', ['192.0.2.43:80']],
    ['for=[2001:db8::1]:80;host="a;b,c"', ['[2001:db8::1]:80']],
    ['host="for=1.1.1.1, for=2.2.2.2";for=192.0.2.1', ['192.0.2.1']],
    ['for="192\\.0.2.1"', ['192.0.2.1']],
    ['proto=https, for=192.0.2.1', ['', '192.0.2.1']],
    [' for=192.0.2.1 ; proto=http ,\tfor=192.0.2.2 ', ['192.0.2.1', '192.0.2.2']],
    [', for=192.0.2.1,,', ['192.0.2.1']],
    ['', []],
    ['for="192.0.2.1', null],
    ['for=', null],
    ['for = 192.0.2.1', null],
    ['192.0.2.1', null],
    ['for=192.0.2.1 for=192.0.2.2', null],
  ])('it reads %j as %j', (text, expected) => {
    expect(readForwarded(text)).toEqual(expected)
  })

  it('it never fails', () => {
    const parts = fc.constantFrom('for=', '"', '\\', ',', ';', '[::1]', 'a', ' ', '=', '1.2.3.4')
    fc.assert(
      fc.property(
        fc.oneof(
          fc.array(parts).map((all) => all.join('')),
          fc.string(),
        ),
        (text) => {
          readForwarded(text)
        },
      ),
    )
  })
})
