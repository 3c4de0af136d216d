import { describe, expect, it } from 'vitest'
import { type Arrival, bringsNewArrival, NO_ARRIVAL, readArrival } from './arrival.ts'
import { parsePage } from './page.ts'
import { cleanReferrer } from './referrer.ts'

const arrive = (url: string, referrer = ''): Arrival => readArrival(parsePage(url, true)!, cleanReferrer(referrer))

describe('readArrival', () => {
  it.each([
    ['https://a.example/', '', {}],
    ['https://a.example/', 'https://a.example/before', {}],
    ['https://a.example/', 'https://b.example/x?q=1', { referrer: 'https://b.example/x', source: 'b.example' }],
    ['https://a.example/?utm_source=news+letter&utm_medium=e%C3%A4', '', { utmSource: 'news letter', utmMedium: 'eä' }],
    ['https://a.example/?utm_source=1&utm_source=2', '', { utmSource: '1' }],
    ['https://a.example/?utm_term=%ff&utm_content=%', '', { utmTerm: '\ufffd', utmContent: '%' }],
    ['https://a.example/?utm_campaign=c#utm_source=x', '', { utmCampaign: 'c' }],
    ['https://a.example/?xutm_source=1', '', {}],
  ])('reads %s from %j', (url, referrer, expected) => {
    expect(arrive(url, referrer)).toEqual({ ...NO_ARRIVAL, ...expected })
  })
})

describe('bringsNewArrival', () => {
  it.each([
    ['nothing never differs', '', '?utm_source=a', false],
    ['the same differs not', '?utm_source=a', '?utm_source=a', false],
    ['another value differs', '?utm_source=b', '?utm_source=a', true],
    ['a value meets none', '?utm_source=b', '', true],
    ['one of two differs', '?utm_source=a&utm_term=x', '?utm_source=a', true],
  ])('%s', (_, query, known, expected) => {
    expect(bringsNewArrival(arrive(`https://a.example/${query}`), arrive(`https://a.example/${known}`))).toBe(expected)
  })

  it('compares referrers by host', () => {
    const known = arrive('https://a.example/', 'https://b.example/1')
    expect(bringsNewArrival(arrive('https://a.example/', 'https://b.example/2'), known)).toBe(false)
    expect(bringsNewArrival(arrive('https://a.example/', 'https://c.example/1'), known)).toBe(true)
  })
})
