import { SocketAddress } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isPrivate, networkOf, normaliseAddress } from './address-text.ts'

describe('normaliseAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    [' 192.0.2.7 ', '192.0.2.7'],
    ['192.0.2.7:51234', '192.0.2.7'],
    ['192.0.2.7:_secret', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['[::ffff:192.0.2.7]:443', '192.0.2.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:8080', '2001:db8::1'],
    ['[2001:db8::1]:_x', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['::1', '::1'],
    ['', null],
    ['unknown', null],
    ['_hidden', null],
    ['192.0.2', null],
    ['192.0.2.300', null],
    ['1.2.3.4:99x', null],
    ['1.2.3.4:', null],
    ['[2001:db8::1', null],
    ['[2001:db8::1]x', null],
    ['example.com', null],
    ['2001:db8::g', null],
    ['192.0.2.7, 10.0.0.1', null],
  ])('it reads %j as %j', (text, expected) => {
    expect(normaliseAddress(text)).toBe(expected)
  })

  it('it writes every IPv6 address as the system does', () => {
    const group = fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.integer({ min: 0, max: 0xffff }))
    fc.assert(
      fc.property(fc.array(group, { minLength: 8, maxLength: 8 }), fc.boolean(), (groups, upper) => {
        // The system writes ::/96 and mapped addresses with a dotted end.
        fc.pre(groups.slice(0, 5).some((one) => one !== 0) || ![0, 0xffff].includes(groups[5]!))
        const long = groups.map((one) => one.toString(16).padStart(4, '0')).join(':')
        const { address } = new SocketAddress({ address: long, family: 'ipv6' })
        expect(normaliseAddress(upper ? long.toUpperCase() : long)).toBe(address)
        expect(normaliseAddress(address)).toBe(address)
      }),
      { numRuns: 2_000 },
    )
  })

  it.each([
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
    ['::', '::'],
    ['1::', '1::'],
    ['::ffff:0:0', '0.0.0.0'],
    ['0:0:1:0:0:1:0:0', '::1:0:0:1:0:0'],
    ['1:0:0:2:0:0:0:3', '1:0:0:2::3'],
    ['1:0:2:3:4:5:6:7', '1:0:2:3:4:5:6:7'],
  ])('it writes %s as %s', (text, expected) => {
    expect(normaliseAddress(text)).toBe(expected)
  })
})

describe('isPrivate', () => {
  it.each([
    ['10.1.2.3', true],
    ['172.16.0.1', true],
    ['172.31.255.255', true],
    ['172.32.0.1', false],
    ['192.168.1.1', true],
    ['192.167.1.1', false],
    ['127.0.0.1', true],
    ['169.254.1.1', true],
    ['100.64.0.1', true],
    ['100.128.0.1', false],
    ['203.0.113.9', false],
    ['::1', true],
    ['fd12::1', true],
    ['fe80::1', true],
    ['fc0::1', false],
    ['febf::1', true],
    ['fec0::1', false],
    ['::', true],
    ['::2', false],
    ['0.0.0.0', true],
    ['1.10.0.1', false],
    ['100.63.0.1', false],
    ['100.127.255.255', true],
    ['2001:db8::1', false],
  ])('it tells of %s: %s', (address, expected) => {
    expect(isPrivate(address)).toBe(expected)
  })
})

describe('networkOf', () => {
  it.each([
    ['203.0.113.9', '203.0.113.9'],
    ['2001:db8::1', '2001:db8:0:0'],
    ['2001:db8::1:2:3:4', '2001:db8:0:0'],
    ['2001:db8:0:0:1::', '2001:db8:0:0'],
    ['2001:db8:0:7:1:2:3:4', '2001:db8:0:7'],
    ['2001::3:4:5:6:7', '2001:0:0:3'],
    ['::1', '0:0:0:0'],
    ['2001:db8:1:2::', '2001:db8:1:2'],
    ['', ''],
  ])('it counts %s as %s', (address, expected) => {
    expect(networkOf(address)).toBe(expected)
  })
})
