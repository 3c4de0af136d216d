import { MillraceError, SECRET_FIELDS, type WireHit } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readHits } from './validate-hits.ts'

const url = 'https://example.com/pricing?utm_source=news'
const id = '01932C07-1111-7222-8333-444455556666'
const read = (body: unknown, ignoreUnknown = false) => readHits(JSON.stringify(body), ignoreUnknown)
const codeOf = (text: string): string => {
  try {
    readHits(text, false)
  } catch (error) {
    return (error as MillraceError).code
  }
  return 'none'
}

describe('readHits', () => {
  it.each<[string, object]>([
    ['a page view', { url }],
    ['a page view by name', { type: 'page_view', url, site: 'blog', hit_id: id, created_at: 1, sent_at: 2 }],
    ['an event', { type: 'event', url, name: 'signup', props: { plan: 'pro', seats: 3, trial: false }, value: 9.5 }],
    ['an engagement', { type: 'engagement', page_id: id, engaged_ms: 1000, scroll_percent: 50 }],
    ['the year 1970', { url, created_at: 0 }],
    ['the year 2100', { url, created_at: 4_102_444_800_000 }],
    ['a clock beyond all dates of this century', { url, created_at: 8.64e15 }],
    ['a 4 KB url', { url: `https://example.com/${'a'.repeat(4076)}` }],
    ['capitals in the scheme', { url: 'HTTPS://EXAMPLE.com/' }],
    ['a referrer that is an app', { url, referrer: 'android-app://com.google.android.gm/' }],
    ['a referrer that is no URL', { url, referrer: 'not a url' }],
    ['an empty referrer', { url, referrer: '' }],
    ['keys that objects inherit', { type: 'event', url, name: 'x', props: { constructor: 'a', toString: 1 } }],
  ])('it takes %s', (_what, hit) => {
    const result = read(hit)
    expect(result.refused).toEqual([])
    expect(result.hits).toHaveLength(1)
  })

  it.each<[string, unknown, string, string]>([
    ['no url', {}, 'field_missing', '/url'],
    ['an event without a url', { type: 'event', name: 'x' }, 'field_missing', '/url'],
    ['an event without a name', { type: 'event', url }, 'field_missing', '/name'],
    ['an engagement without a page', { type: 'engagement', engaged_ms: 1 }, 'field_missing', '/page_id'],
    ['another type', { type: 'click', url }, 'field_invalid', '/type'],
    ['a type that is no text', { type: 7, url }, 'field_invalid', '/type'],
    ['a field of another type', { url, name: 'x' }, 'field_unknown', '/name'],
    ['an unknown field', { url, foo: 1 }, 'field_unknown', '/foo'],
    ['an unknown field with odd letters', { url, 'a/b~c': 1 }, 'field_unknown', '/a~1b~0c'],
    ['a long unknown field', { url, ['k'.repeat(9000)]: 1 }, 'field_unknown', `/${'k'.repeat(64)}…`],
    ['a number as url', { url: 7 }, 'field_invalid', '/url'],
    ['null as title', { url, title: null }, 'field_invalid', '/title'],
    ['a relative url', { url: '/pricing' }, 'url_invalid', '/url'],
    ['an empty url', { url: '' }, 'url_invalid', '/url'],
    ['another scheme', { url: 'ftp://example.com/' }, 'url_invalid', '/url'],
    ['a script as url', { url: 'javascript:alert(1)' }, 'url_invalid', '/url'],
    ['a url without a host', { url: 'https://' }, 'url_invalid', '/url'],
    ['a url with a broken host', { url: 'https://exa mple.com/' }, 'url_invalid', '/url'],
    ['a url with a broken port', { url: 'https://example.com:99999/' }, 'url_invalid', '/url'],
    ['a 10 kB path', { url: `https://example.com/${'a'.repeat(10_000)}` }, 'url_invalid', '/url'],
    ['a site in capitals', { url, site: 'Blog' }, 'site_invalid', '/site'],
    ['a site that ends with a line feed', { url, site: 'blog\n' }, 'site_invalid', '/site'],
    ['an empty site', { url, site: '' }, 'site_invalid', '/site'],
    ['a hit_id that is no UUID', { url, hit_id: 'abc' }, 'field_invalid', '/hit_id'],
    ['a page_id that is no UUID', { type: 'engagement', page_id: 'x' }, 'field_invalid', '/page_id'],
    ['a negative time', { url, created_at: -1 }, 'field_invalid', '/created_at'],
    ['a time as text', { url, created_at: '2026-11-22' }, 'field_invalid', '/created_at'],
    ['a time beyond all dates', { url, created_at: 8.65e15 }, 'field_invalid', '/created_at'],
    ['a screen too wide', { url, screen_width: 70_000 }, 'field_invalid', '/screen_width'],
    ['half a pixel', { url, screen_width: 1.5 }, 'field_invalid', '/screen_width'],
    ['a tag that is a number', { url, tags: { a: 1 } }, 'field_invalid', '/tags/a'],
    ['a tag without a name', { url, tags: { '': 'x' } }, 'field_invalid', '/tags/'],
    ['a tag with a long name', { url, tags: { ['k'.repeat(65)]: 'x' } }, 'field_invalid', `/tags/${'k'.repeat(64)}…`],
    ['a tag with a line feed that is deep', { url, tags: { 'a\nb': { c: 1 } } }, 'field_invalid', '/tags/a\nb'],
    [
      'too many tags',
      { url, tags: Object.fromEntries(Array.from({ length: 21 }, (_, i) => [`t${i}`, ''])) },
      'field_invalid',
      '/tags',
    ],
    ['a prop that is a list', { type: 'event', url, name: 'x', props: { a: [] } }, 'field_invalid', '/props/a'],
    ['a list of tags', { url, tags: [] }, 'field_invalid', '/tags'],
  ])('it refuses %s', (_what, hit, code, pointer) => {
    expect(read(hit)).toMatchObject({ hits: [], refused: [{ index: 0, code, pointer }] })
    const inList = read({ hits: [{ url }, hit] })
    expect(inList.hits).toHaveLength(1)
    expect(inList.refused).toMatchObject([{ index: 1, code, pointer: `/hits/1${pointer}` }])
    expect(inList.refused[0]!.detail).not.toBe('')
  })

  it.each(SECRET_FIELDS.map((field) => [field]))('it refuses %s, which needs a secret key', (field) => {
    const hit = { url, [field]: field === 'headers' ? {} : 'x' }
    for (const lenient of [false, true]) {
      expect(read(hit, lenient).refused).toMatchObject([{ code: 'field_not_allowed', pointer: `/${field}` }])
    }
  })

  it.each([
    ['', 'json_invalid'],
    ['{', 'json_invalid'],
    ['{"url":"https://a.b/",}', 'json_invalid'],
    ["{'url':1}", 'json_invalid'],
    ['{"title":"a\nb"}', 'json_invalid'],
    ['{"title":"a\0b"}', 'json_invalid'],
    ['NaN', 'json_invalid'],
    ['null', 'body_invalid'],
    ['[]', 'body_invalid'],
    ['"text"', 'body_invalid'],
    ['7', 'body_invalid'],
    ['['.repeat(60_000), 'json_invalid'],
    ['['.repeat(30_000) + ']'.repeat(30_000), 'body_invalid'],
    ['{"hits":[]}', 'body_invalid'],
    ['{"hits":{}}', 'body_invalid'],
    ['{"hits":null}', 'body_invalid'],
    ['{"hits":[{}],"sent_at":"now"}', 'field_invalid'],
    ['{"hits":[{}],"sent_at":1e999}', 'field_invalid'],
    ['{"hits":[{}],"site":"blog"}', 'field_unknown'],
    ['{"hits":[{}],"__proto__":{}}', 'field_unknown'],
    [`{"hits":[${'0,'.repeat(100)}0]}`, 'hits_too_many'],
  ])('it refuses the body %.60s as a whole: %s', (text, code) => {
    expect(codeOf(text)).toBe(code)
  })

  it.each([
    ['{"hits":[null,7,"x",[],{"url":"https://a.b/"}]}', 1, 4],
    [`{"url":"https://a.b/","tags":${'{"a":'.repeat(9_000)}1${'}'.repeat(9_000)}}`, 0, 1],
    ['{"url":"https://a.b/","tags":{"a":["\\u0000",["\\ud800",["\\u0000",[["\\u0000"]]]]]}}', 0, 1],
    ['{"url":"https://a.b/","value":1e999,"type":"event","name":"x"}', 0, 1],
    ['{"url":"https://a.b/","created_at":123456789012345678901234567890}', 0, 1],
    ['{"url":"https://a.b/","__proto__":{"title":"x"}}', 0, 1],
    ['{"url":"https://a.b/","__pro\\u0000to__":{"title":"x"}}', 0, 1],
    ['{"url":"/wrong","url":"https://a.b/"}', 1, 0],
    ['{"url":"https://a.b/","url":"/wrong"}', 0, 1],
  ])('it reads %.70s: %d taken, %d refused', (text, taken, refused) => {
    const result = readHits(text, false)
    expect([result.hits.length, result.refused.length]).toEqual([taken, refused])
    expect(({} as { title?: string }).title).toBeUndefined()
  })

  it('it takes a `__proto__` among tags as a tag like any other', () => {
    const [hit] = readHits('{"url":"https://a.b/","tags":{"__proto__":"x","__pro\\u0000to__":"y"}}', false).hits
    expect(JSON.stringify(hit!.tags)).toBe('{"__proto__":"y"}')
  })

  it('it replaces lone surrogates and removes NULs, in keys too', () => {
    const text =
      '{"url":"https://a.b/\\ud800\\u0000","title":"\\u0000x\\udc00\\ud83d\\ude00","tags":{"k\\u0000":"v\\ud800"}}'
    expect(readHits(text, false).hits).toEqual([
      { url: 'https://a.b/\ufffd', title: 'x\ufffd😀', tags: { k: 'v\ufffd' } },
    ])
  })

  it('it writes ids in lower case', () => {
    const { hits } = read({
      hits: [
        { url, hit_id: id },
        { type: 'engagement', page_id: id },
      ],
    })
    expect(hits).toMatchObject([{ hit_id: id.toLowerCase() }, { page_id: id.toLowerCase() }])
  })

  it('it leaves out and counts unknown fields of beacons', () => {
    const body = { hits: [{ url, foo: 1, bar: {} }, { url }, { foo: 1 }], sent_at: 5, more: true }
    const result = read(body, true)
    expect(result.hits).toEqual([{ url }, { url }])
    expect(result.refused).toMatchObject([{ index: 2, code: 'field_missing' }])
    expect(result).toMatchObject({ sentAt: 5, ignoredFields: 4 })
  })

  it('it takes any JSON value apart without failing', () => {
    const known = fc.constantFrom('url', 'type', 'hits', 'site', 'tags', 'props', 'sent_at', 'hit_id', 'headers', 'x')
    const value = fc.letrec((tie) => ({
      any: fc.oneof(
        { maxDepth: 4 },
        fc.constantFrom(url, id, 'event', 'engagement', 'page_view', 'blog', 1, -1, null, true),
        fc.string({ unit: 'binary' }),
        fc.double(),
        fc.array(tie('any'), { maxLength: 4 }),
        fc.dictionary(fc.oneof(known, fc.string()), tie('any'), { maxKeys: 6 }),
      ),
    })).any
    fc.assert(
      fc.property(value, fc.boolean(), (body, lenient) => {
        const text = JSON.stringify(body)
        try {
          const { hits, refused } = readHits(text, lenient)
          const parsed = JSON.parse(text) as { hits?: WireHit[] }
          expect(hits.length + refused.length).toBe(Object.hasOwn(parsed, 'hits') ? parsed.hits!.length : 1)
        } catch (error) {
          expect(error).toBeInstanceOf(MillraceError)
        }
      }),
      { numRuns: 2_000 },
    )
  })
})
