import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NetworkList } from './bots-networks.ts'

const LIST = `# hosting
192.0.2.0/24
198.51.100.7   # one address
198.51.100.8/31

203.0.113.64/26
203.0.113.0/25
2001:db8::/32
2001:db9::1
::ffff:0:0:1/128
`

describe('NetworkList', () => {
  const list = NetworkList.parse(LIST)

  it.each([
    ['192.0.2.0', true],
    ['192.0.2.255', true],
    ['192.0.3.0', false],
    ['192.0.1.255', false],
    ['198.51.100.7', true],
    ['198.51.100.9', true],
    ['198.51.100.10', false],
    ['203.0.113.0', true],
    ['203.0.113.127', true],
    ['203.0.113.128', false],
    ['255.255.255.255', false],
    ['::ffff:192.0.2.1', true],
    ['2001:db8::', true],
    ['2001:db8:ffff:ffff:ffff:ffff:ffff:ffff', true],
    ['2001:DB8::1', true],
    ['2001:db9::', false],
    ['2001:db9::1', true],
    ['2001:db7:ffff::', false],
    ['', false],
    ['nonsense', false],
    ['192.0.2', false],
  ])('has %s: %s', (address, expected) => {
    expect(list.has(address)).toBe(expected)
  })

  it('merges networks that overlap or touch', () => {
    expect(list.size).toBe(6)
    expect(NetworkList.parse('0.0.0.0/0\n10.0.0.0/8').size).toBe(1)
  })

  it.each([
    '192.0.2.0/33',
    '192.0.2.0/',
    '192.0.2/24',
    '2001:db8::/129',
    'example.com',
    '192.0.2.0/24/1',
    '1.2.3.4/-1',
  ])('refuses %j by the number of its line', (line) => {
    expect(() => NetworkList.parse(`10.0.0.0/8\n${line}`)).toThrow('line 2 is no network')
  })

  it('has an address exactly if one of its networks has it', () => {
    const number = fc.integer({ min: 0, max: 255 })
    const network = fc.tuple(number, fc.integer({ min: 0, max: 8 })).map(([last, free]) => ({ last, bits: 32 - free }))
    fc.assert(
      fc.property(fc.array(network, { maxLength: 8 }), number, (networks, last) => {
        const some = NetworkList.parse(networks.map((one) => `10.0.0.${one.last}/${one.bits}`).join('\n'))
        const expected = networks.some((one) => one.last >> (32 - one.bits) === last >> (32 - one.bits))
        expect(some.has(`10.0.0.${last}`)).toBe(expected)
      }),
    )
  })

  it('never throws on what is no address', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void list.has(text)))
  })
})
