import { describe, expect, it } from 'vitest'
import { parseAddressHeaders, parseTrustedProxies } from './trusted-proxies.ts'

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

describe('parseAddressHeaders', () => {
  it('it reads names in any case, in their order', () => {
    expect(parseAddressHeaders(' CF-Connecting-IP,x-forwarded-for ')).toEqual(['cf-connecting-ip', 'x-forwarded-for'])
  })

  it.each(['', 'a,,b', 'x forwarded for', 'x-forwarded-for;', 'a,b,c,d,e,f,g,h,i'])('it refuses %j', (text) => {
    expect(() => parseAddressHeaders(text)).toThrow(/^must be names of headers/)
  })
})
