import { describe, expect, it } from 'vitest'
import { createClientAddress, type RequestHeaders } from './client-address.ts'
import {
  DEFAULT_ADDRESS_HEADERS,
  NO_TRUSTED_PROXIES,
  parseAddressHeaders,
  parseTrustedProxies,
} from './trusted-proxies.ts'

const from = (
  proxies: string,
  socket: string | undefined,
  headers: RequestHeaders,
  names = DEFAULT_ADDRESS_HEADERS,
): string =>
  createClientAddress(proxies === '' ? NO_TRUSTED_PROXIES : parseTrustedProxies(proxies), names)(socket, headers)

describe('createClientAddress', () => {
  const NETS = '10.0.0.0/8, fd00::/8, 192.0.2.1'
  it.each([
    ['', '203.0.113.9', undefined, '203.0.113.9'],
    ['', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
    ['', '::ffff:203.0.113.9', undefined, '203.0.113.9'],
    ['', undefined, undefined, ''],
    ['0', '10.0.0.1', '198.51.100.1', '10.0.0.1'],
    ['1', '10.0.0.1', '198.51.100.1', '198.51.100.1'],
    ['1', '10.0.0.1', '203.0.113.9, 198.51.100.1', '198.51.100.1'],
    ['1', '10.0.0.1', '203.0.113.9, 10.0.0.3', '10.0.0.3'],
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
    // Inner proxies that nobody listed are no visitors; a private client stays one where there is no other.
    [NETS, '10.0.0.1', '198.51.100.1, 192.168.7.7', '198.51.100.1'],
    [NETS, '10.0.0.1', '1.1.1.1, 198.51.100.1, 172.16.0.9, 192.168.7.7', '198.51.100.1'],
    [NETS, '10.0.0.1', '192.168.7.7', '192.168.7.7'],
    [NETS, '10.0.0.1', '192.168.1.1, 192.168.7.7', '192.168.7.7'],
    [NETS, '10.0.0.1', '198.51.100.1, unknown, 192.168.7.7', '192.168.7.7'],
    [NETS, '192.168.7.7', '198.51.100.1', '192.168.7.7'],
  ])('it trusts %j: from %j through X-Forwarded-For %j comes %j', (proxies, socket, forwarded, expected) => {
    expect(from(proxies, socket, { 'x-forwarded-for': forwarded })).toBe(expected)
  })

  it.each([
    ['for=198.51.100.1', '198.51.100.1'],
    ['for=1.1.1.1, for="[2001:db8::7]:4711"', '2001:db8::7'],
    ['for=198.51.100.1, for=10.0.0.2;proto=https', '198.51.100.1'],
    ['for=198.51.100.1, for=_hidden', '10.0.0.1'],
    ['for=198.51.100.1, by=10.0.0.2', '10.0.0.1'],
    ['for="198.51.100.1', '10.0.0.1'],
    ['', '10.0.0.1'],
  ])('it goes by Forwarded: %j is from %j', (forwarded, expected) => {
    expect(from(NETS, '10.0.0.1', { forwarded })).toBe(expected)
  })

  const all = {
    'x-forwarded-for': '198.51.100.1',
    forwarded: 'for=198.51.100.2',
    'x-real-ip': '198.51.100.3',
    'cf-connecting-ip': '198.51.100.4',
    'true-client-ip': '2001:DB8::5',
  }
  it.each<[string, RequestHeaders, string]>([
    ['x-forwarded-for, forwarded', all, '198.51.100.1'],
    ['Forwarded', all, '198.51.100.2'],
    ['X-Real-IP', all, '198.51.100.3'],
    ['CF-Connecting-IP, X-Forwarded-For', all, '198.51.100.4'],
    ['True-Client-IP', all, '2001:db8::5'],
    ['CF-Connecting-IP, X-Forwarded-For', { 'x-forwarded-for': '198.51.100.1' }, '198.51.100.1'],
    ['X-Real-IP, X-Forwarded-For', { ...all, 'x-real-ip': '192.168.7.7' }, '198.51.100.1'],
    ['X-Real-IP', { ...all, 'x-real-ip': '192.168.7.7' }, '192.168.7.7'],
    ['X-Real-IP', { ...all, 'x-real-ip': 'unknown' }, '10.0.0.1'],
    ['X-Real-IP', { ...all, 'x-real-ip': '1.1.1.1, 2.2.2.2' }, '10.0.0.1'],
    ['x-forwarded-for, forwarded', { 'x-real-ip': '1.1.1.1', 'cf-connecting-ip': '1.1.1.1' }, '10.0.0.1'],
  ])('it asks %j in this order: %j is from %j', (names, headers, expected) => {
    expect(from(NETS, '10.0.0.1', headers, parseAddressHeaders(names))).toBe(expected)
  })

  it.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'cf-connecting-ip', 'true-client-ip'])(
    'it believes no %s of someone who is not trusted',
    (name) => {
      expect(from(NETS, '203.0.113.9', all, [name])).toBe('203.0.113.9')
      expect(from('', '203.0.113.9', all, [name])).toBe('203.0.113.9')
      expect(from('0', '203.0.113.9', all, [name])).toBe('203.0.113.9')
    },
  )
})
