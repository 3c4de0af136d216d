import { DEFAULT_SITE_SETTINGS, HIT_COLUMNS, type HitRow } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { enrich } from './pipeline.ts'
import { type RawHit, readRecord } from './raw-hit.ts'
import { NOON, READING, rawRecord, storedRow, TOOLS } from './testing/lab.ts'

function rowOf(hit: object, line: Parameters<typeof rawLine>[1] = {}, site = DEFAULT_SITE_SETTINGS): HitRow {
  const hits: RawHit[] = []
  const value = rawValue([rawLine([{ hit_id: hitId(1), ...hit } as never], line)])
  readRecord(rawRecord(5, NOON, value), READING, hits, [])
  return storedRow(enrich(hits[0]!, site, TOOLS).row)
}

describe('enrich', () => {
  it('writes every column, in the order of the table', () => {
    expect(Object.keys(rowOf(pageView()))).toEqual(Object.keys(HIT_COLUMNS))
    expect(Object.keys(rowOf(pageView({ url: 'nonsense' })))).toEqual(Object.keys(HIT_COLUMNS))
  })

  it('tells a page view', () => {
    const hit = pageView({
      url: 'https://example.com/pricing?utm_source=news',
      referrer: 'https://news.example/today?id=5',
      title: 'Pricing',
      language: 'de-AT',
      screen_width: 1920,
      screen_height: 1080,
      pixel_ratio: 1.5,
      tags: { section: 'docs' },
      created_at: 1_000,
      sender: 'script/1',
    })
    expect(rowOf(hit, { sent_at: 3_500 })).toMatchObject({
      site: 'blog',
      day: 20_778,
      time: NOON - 2_500,
      received_at: NOON,
      type: 'page_view',
      verdict: 'keep',
      hostname: 'example.com',
      path: '/pricing',
      title: 'Pricing',
      referrer: 'https://news.example/today',
      session_referrer: 'https://news.example/today',
      utm_source: 'news',
      browser: 'Chrome',
      os: 'Windows',
      device_type: 'desktop',
      is_bot: false,
      language: 'de',
      screen_width: 1920,
      pixel_ratio: 1.5,
      interactive: false,
      tags: { section: 'docs' },
      sender: 'script/1',
      kp: 4096,
      ko: 5,
      ki: 0,
    })
  })

  it('tells an event', () => {
    const hit = event({
      name: 'buy',
      value: 9.99,
      currency: 'EUR',
      duration_ms: 70,
      interactive: false,
      props: { plan: 'pro', seats: 2, trial: true },
    })
    expect(rowOf(hit)).toMatchObject({
      type: 'event',
      event_name: 'buy',
      value: 9.99,
      currency: 'EUR',
      event_duration_ms: 70,
      interactive: false,
      props_text: { plan: 'pro', trial: 'true' },
      props_number: { seats: 2 },
    })
    expect(rowOf(event()).interactive).toBe(true)
  })

  it('tells an engagement signal, which brings nobody', () => {
    const hit = engagement({
      page_id: hitId(9).toUpperCase(),
      engaged_ms: 4_000,
      scroll_percent: 60,
      url: 'https://example.com/?utm_source=x',
      referrer: 'https://b.example/',
    })
    expect(rowOf(hit)).toMatchObject({
      type: 'engagement',
      page_id: hitId(9),
      engaged_ms: 4_000,
      scroll_percent: 60,
      utm_source: '',
      session_referrer: '',
    })
  })

  it('keeps what a site keeps, and masks what looks like a person', () => {
    const url = 'https://example.com/order?id=4&mail=j@b.example#/pay'
    const sent = { ...pageView({ url, title: 'Order of jane@example.com', tags: { by: 'jane@example.com' } }) }
    expect(rowOf(sent)).toMatchObject({ path: '/order', title: 'Order of [email]', tags: { by: '[email]' } })
    const site = { ...DEFAULT_SITE_SETTINGS, query_parameters: ['id'], keep_hashes: true, mask_values: false }
    expect(rowOf(sent, {}, site)).toMatchObject({ path: '/order?id=4#/pay', title: 'Order of jane@example.com' })
  })

  it('tells the source and the channel', () => {
    expect(rowOf(pageView({ referrer: 'https://www.google.at/' }))).toMatchObject({
      session_referrer: 'https://www.google.at/',
      referrer_name: 'Google',
      channel: 'Organic Search',
    })
    expect(rowOf(pageView({ url: 'https://example.com/?gclid=Cj0KCQ' }))).toMatchObject({
      channel: 'Paid Search',
      click_id_kind: 'gclid',
      path: '/',
    })
    expect(rowOf(pageView()).channel).toBe('Direct')
  })

  it('takes measures of a server', () => {
    expect(rowOf({ ...pageView(), method: 'get', status: 404, request_ms: 12.5 }, { trust: 'secret' })).toMatchObject({
      http_method: 'GET',
      http_status: 404,
      request_ms: 12.5,
    })
  })

  it('falls back to the Accept-Language header', () => {
    expect(rowOf(pageView(), { headers: { 'accept-language': 'fr-CH, fr;q=0.9' } }).language).toBe('fr')
  })

  it('marks a bot and keeps it', () => {
    expect(rowOf(pageView(), { user_agent: 'curl/8.5.0' })).toMatchObject({
      verdict: 'keep',
      is_bot: true,
      bot_reason: 'ua_library',
      client_kind: 'library',
    })
  })

  it.each([
    ['an url that is none', pageView({ url: 'nonsense' }), 'url_invalid'],
    ['no url', { type: 'page_view' }, 'url_invalid'],
    ['an unknown type', { ...pageView(), type: 'purchase' }, 'hit_invalid'],
    ['a hit_id that is none', { ...pageView(), hit_id: 'x' }, 'hit_invalid'],
  ])('finds a hit dead for %s', (_, hit, reason) => {
    expect(rowOf(hit)).toMatchObject({
      verdict: 'dead',
      verdict_reason: reason,
      site: 'blog',
      visitor_id: '0000000000000000',
      title: '',
    })
  })
})
