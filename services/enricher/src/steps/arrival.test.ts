import { readFileSync } from 'node:fs'
import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type Arrival, bringsNewArrival, DIRECT, NO_ARRIVAL, readArrival } from './arrival.ts'
import { parsePage } from './page.ts'
import { cleanReferrer } from './referrer.ts'

const arrive = (url: string, referrer = '', site: Partial<SiteSettings> = {}): Arrival =>
  readArrival(parsePage(url, true)!, cleanReferrer(referrer), { ...DEFAULT_SITE_SETTINGS, ...site })

const rows = (name: string): string[][] =>
  readFileSync(new URL(name, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split('\t'))

const referrers = rows('referrers.tsv').map(([page, referrer, name, channel, source]) => ({
  ...{ page: page!, referrer: referrer!, name: name!, channel: channel!, source: source! },
}))
const channels = rows('channels.tsv').map(([query, referrer, channel, source]) => ({
  ...{ query: query!, referrer: referrer!, channel: channel!, source: source! },
}))

describe('readArrival', () => {
  it.each([
    ['https://a.example/', '', {}],
    ['https://a.example/', 'https://a.example/before', {}],
    ['https://a.example/', 'https://www.a.example/before', {}],
    [
      'https://a.example/',
      'https://b.example/x?q=1',
      { referrer: 'https://b.example/x', source: 'b.example', referrerName: 'b.example', channel: 'Referral' },
    ],
    [
      'https://a.example/?utm_source=news+letter&utm_medium=e%C3%A4',
      '',
      { utmSource: 'news letter', utmMedium: 'eä', channel: 'Referral' },
    ],
    ['https://a.example/?utm_source=1&utm_source=2', '', { utmSource: '1', channel: 'Referral' }],
    ['https://a.example/?utm_source=&utm_source=2', '', { utmSource: '2', channel: 'Referral' }],
    ['https://a.example/?utm%5Fsource=2', '', { utmSource: '2', channel: 'Referral' }],
    ['https://a.example/?utm_term=%ff&utm_content=%', '', { utmTerm: '\ufffd', utmContent: '%' }],
    ['https://a.example/?utm_campaign=c#utm_source=x', '', { utmCampaign: 'c' }],
    ['https://a.example/?xutm_source=1', '', {}],
    ['https://a.example/?ref=b', '', { utmSource: 'b', channel: 'Referral' }],
    ['https://a.example/?source=b&ref=c', '', { utmSource: 'b', channel: 'Referral' }],
    ['https://a.example/?ref=c&utm_source=b', '', { utmSource: 'b', channel: 'Referral' }],
    ['https://a.example/?ref=menu', 'https://a.example/', {}],
    ['https://a.example/?mtm_source=b&pk_campaign=c', '', {}],
    [
      'https://a.example/?gclid=Cj0KCQ&fbclid=IwAR0',
      '',
      { clickIdKind: 'fbclid', referrerName: 'Facebook', channel: 'Organic Social' },
    ],
    ['https://a.example/?gclid=', '', {}],
    [
      'https://a.example/?utm_content=jane@example.com&utm_source=x',
      '',
      { utmContent: '[email]', utmSource: 'x', referrerName: 'X', channel: 'Organic Social' },
    ],
  ])('reads %s from %j', (url, referrer, expected) => {
    expect(arrive(url, referrer)).toEqual({ ...DIRECT, ...expected })
  })

  it('takes the words of Matomo where the site says so', () => {
    const query = '?mtm_source=a&mtm_medium=b&mtm_campaign=c&mtm_content=d&mtm_keyword=e&pk_source=f&utm_medium=g'
    expect(arrive(`https://a.example/${query}`, '', { campaign_aliases: true })).toMatchObject({
      utmSource: 'a',
      utmMedium: 'g',
      utmCampaign: 'c',
      utmContent: 'd',
      utmTerm: 'e',
    })
    expect(arrive('https://a.example/?pk_campaign=c&pk_kwd=t', '', { campaign_aliases: true })).toMatchObject({
      utmCampaign: 'c',
      utmTerm: 't',
    })
  })

  it('leaves the hosts of the site out', () => {
    const hostnames = ['a.example', '*.shop.test']
    expect(arrive('https://a.example/', 'https://www.shop.test/', { hostnames })).toBe(DIRECT)
    expect(arrive('https://a.example/', 'https://shop.test/', { hostnames }).referrerName).toBe('shop.test')
  })

  it('masks nothing where the site says so', () => {
    expect(arrive('https://a.example/?utm_content=j@b.example', '', { mask_values: false }).utmContent).toBe(
      'j@b.example',
    )
  })

  it.each(referrers)('knows $referrer on $page as $name ($channel)', ({ page, referrer, name, channel, source }) => {
    expect([arrive(page, referrer).referrerName, arrive(page, referrer).channel]).toEqual([name, channel])
    expect(source).not.toBe('')
  })

  it.each(channels)('puts "$query" from "$referrer" into $channel', ({ query, referrer, channel, source }) => {
    expect(arrive(`https://site.example/${query}`, referrer).channel).toBe(channel)
    expect(source).not.toBe('')
  })

  it('is told by at least 150 referrers and 150 channels, each with its source', () => {
    expect(new Set(referrers.map(({ page, referrer }) => `${page} ${referrer}`)).size).toBeGreaterThanOrEqual(150)
    expect(new Set(channels.map(({ query, referrer }) => `${query} ${referrer}`)).size).toBeGreaterThanOrEqual(150)
  })

  it('never throws, and says the same of the same', () => {
    const part = fc.oneof(
      fc.string({ maxLength: 20, unit: fc.constantFrom(...'utm_sorce=&%+?#/.:refgclid@0 4ä\ud800') }),
      fc.constantFrom('utm_source=', '&ref=', '%', 'fbclid=x', '&utm_medium=cpc', 'https://', 'android-app://'),
    )
    const text = fc.array(part, { maxLength: 8 }).map((parts) => parts.join(''))
    fc.assert(
      fc.property(text, text, fc.boolean(), (query, referrer, aliases) => {
        const page = { hostname: 'a.example', path: '/', query }
        const site = { ...DEFAULT_SITE_SETTINGS, campaign_aliases: aliases }
        const read = () => readArrival(page, cleanReferrer(referrer), site)
        expect(read()).toEqual(read())
      }),
      { numRuns: 500 },
    )
  })
})

describe('bringsNewArrival', () => {
  it.each([
    ['nothing never differs', '', '?utm_source=a', false],
    ['the same differs not', '?utm_source=a', '?utm_source=a', false],
    ['another value differs', '?utm_source=b', '?utm_source=a', true],
    ['a value meets none', '?utm_source=b', '', true],
    ['one of two differs', '?utm_source=a&utm_term=x', '?utm_source=a', true],
    ['a click id is no value', '?fbclid=x', '?utm_source=a', false],
  ])('%s', (_, query, known, expected) => {
    expect(bringsNewArrival(arrive(`https://a.example/${query}`), arrive(`https://a.example/${known}`))).toBe(expected)
  })

  it.each([
    ['pages of one host', 'https://b.example/2', 'https://b.example/1', false],
    ['a host with and without www', 'https://www.b.example/', 'https://b.example/', false],
    ['hosts of one source', 'https://l.facebook.com/', 'https://m.facebook.com/', false],
    ['an app and the site of one source', 'android-app://com.reddit.frontpage/', 'https://www.reddit.com/', false],
    ['two hosts', 'https://c.example/1', 'https://b.example/1', true],
    ['two sources of one company', 'https://mail.google.com/', 'https://www.google.com/', true],
  ])('compares %s', (_, referrer, known, expected) => {
    expect(bringsNewArrival(arrive('https://a.example/', referrer), arrive('https://a.example/', known))).toBe(expected)
  })

  it('takes a signal for nobody', () => {
    expect(bringsNewArrival(NO_ARRIVAL, arrive('https://a.example/?utm_source=a'))).toBe(false)
  })
})
