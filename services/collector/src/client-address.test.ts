import { describe, expect, it } from 'vitest'
import { clientAddress, NO_TRUSTED_PROXIES, normaliseAddress, parseTrustedProxies } from './client-address.ts'

describe('normaliseAddress', () => {
  it.each([
    ['192.0.2.7', '192.0.2.7'],
    [' 192.0.2.7 ', '192.0.2.7'],
    ['192.0.2.7:51234', '192.0.2.7'],
    ['::ffff:192.0.2.7', '192.0.2.7'],
    ['::FFFF:c000:0207', '192.0.2.7'],
    ['0:0:0:0:0:ffff:192.0.2.7', '192.0.2.7'],
    ['[::ffff:192.0.2.7]:443', '192.0.2.7'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['[2001:db8::1]', '2001:db8::1'],
    ['[2001:db8::1]:8080', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['[fe80::1%25eth0]:80', 'fe80::1'],
    ['::1', '::1'],
    ['', null],
    ['unknown', null],
    ['_hidden', null],
    ['192.0.2', null],
    ['192.0.2.300', null],
    ['1.2.3.4:99x', null],
    ['[2001:db8::1', null],
    ['[2001:db8::1]x', null],
    ['example.com', null],
    ['2001:db8::g', null],
    ['192.0.2.7, 10.0.0.1', null],
  ])('it reads %j as %j', (text, expected) => {
    expect(normaliseAddress(text)).toBe(expected)
  })
})

describe('clientAddress', () => {
  const NETS = '10.0.0.0/8, fd00::/8, 192.0.2.1'
  it.each([
    ['', '203.0.113.9', undefined, '203.0.113.9'],
    ['', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['', '::ffff:203.0.113.9', undefined, '203.0.113.9'],
    ['', undefined, undefined, ''],
    ['0', '10.0.0.1', '198.51.100.1', '10.0.0.1'],
    ['1', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['1', '10.0.0.1', '203.0.113.9, 198.51.100.1', '198.51.100.1'],
    ['2', '10.0.0.1', '203.0.113.9, 198.51.100.1', '203.0.113.9'],
    ['2', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['1', undefined, '198.51.100.1', '198.51.100.1'],
    ['2', '10.0.0.1', '203.0.113.9, nonsense', '10.0.0.1'],
    ['1', '10.0.0.1', '', '10.0.0.1'],
    [NETS, '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    [NETS, '10.0.0.1', undefined, '10.0.0.1'],
    [NETS, '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [NETS, '::ffff:10.0.0.1', '198.51.100.1', '198.51.100.1'],
    [NETS, 'fd00::5', '2001:DB8::0:1', '2001:db8::1'],
    [NETS, '192.0.2.1', '198.51.100.1', '198.51.100.1'],
    [NETS, '192.0.2.2', '198.51.100.1', '192.0.2.2'],
    [NETS, '10.0.0.1', '1.1.1.1, 198.51.100.1, 10.2.3.4', '198.51.100.1'],
    [NETS, '10.0.0.1', '198.51.100.1:5000, [fd00::7]:99', '198.51.100.1'],
    [NETS, '10.0.0.1', '10.0.0.3, 10.0.0.2', '10.0.0.3'],
    [NETS, '10.0.0.1', '198.51.100.1, unknown, 10.0.0.2', '10.0.0.2'],
    [NETS, undefined, '198.51.100.1', ''],
  ])('it trusts %j: from %j through %j comes %j', (proxies, socket, forwarded, expected) => {
    const trusted = proxies === '' ? NO_TRUSTED_PROXIES : parseTrustedProxies(proxies)
    expect(clientAddress(socket, forwarded, trusted)).toBe(expected)
  })
})

describe('parseTrustedProxies', () => {
  it.each([
    '17',
    '-1',
    '1.5',
    'localhost',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/8,',
    '10.0.0.0/8 fd00::/8',
    '10.0.0.0/x',
  ])('it refuses %j without repeating it', (text) => {
    expect(() => parseTrustedProxies(text)).toThrow(/^must be a hop count/)
  })
})
