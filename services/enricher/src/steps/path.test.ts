import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePage } from './page.ts'
import { keptPath } from './path.ts'
import { MAX_PATH } from './text.ts'

const pathOf = (url: string, site: Partial<SiteSettings> = {}): string =>
  keptPath(parsePage(url, true)!, url, { ...DEFAULT_SITE_SETTINGS, ...site })

describe('keptPath', () => {
  it.each([
    ['https://a.example/Pricing/', '/Pricing/'],
    ['https://a.example/pricing', '/pricing'],
    ['https://a.example/p?id=4&email=j@b.example', '/p'],
    ['https://a.example/p#/inbox', '/p'],
  ])('of %s is %s, case and slash as sent, no query, no fragment', (url, expected) => {
    expect(pathOf(url)).toBe(expected)
  })

  it.each([
    ['https://a.example/p?id=4', '/p?id=4'],
    ['https://a.example/p?x=1&id=4&y=2', '/p?id=4'],
    ['https://a.example/p?lang=de&id=4', '/p?id=4&lang=de'],
    ['https://a.example/p?id=4&lang=de', '/p?id=4&lang=de'],
    ['https://a.example/p?id=4&id=5', '/p?id=4&id=5'],
    ['https://a.example/p?id=', '/p?id='],
    ['https://a.example/p?id=a%20b+c', '/p?id=a+b+c'],
    ['https://a.example/p?id=j@b.example', '/p?id=%5Bemail%5D'],
    ['https://a.example/p?ID=4', '/p'],
    ['https://a.example/p', '/p'],
  ])('of %s is %s where id and lang are kept', (url, expected) => {
    expect(pathOf(url, { query_parameters: ['id', 'lang'] })).toBe(expected)
  })

  it.each([
    ['https://a.example/#/inbox', '/#/inbox'],
    ['https://a.example/#!/inbox/4', '/#!/inbox/4'],
    ['https://a.example/app#/inbox?id=4&token=x', '/app#/inbox?id=4'],
    ['https://a.example/app?id=1#/inbox', '/app?id=1#/inbox'],
    ['https://a.example/docs#install', '/docs#install'],
    ['https://a.example/#access_token=secret&expires_in=3600', '/#access_token'],
    ['https://a.example/#', '/'],
    ['https://a.example/#=x', '/'],
    ['https://a.example/', '/'],
  ])('of %s is %s where fragments are kept', (url, expected) => {
    expect(pathOf(url, { keep_hashes: true, query_parameters: ['id'] })).toBe(expected)
  })

  it('is bounded', () => {
    expect(pathOf(`https://a.example/?id=${'x'.repeat(4_000)}`, { query_parameters: ['id'] })).toHaveLength(MAX_PATH)
    expect(pathOf(`https://a.example/#/${'x'.repeat(4_000)}`, { keep_hashes: true })).toHaveLength(MAX_PATH)
  })

  it('never throws, says the same of the same, and keeps no parameter that is not named', () => {
    const tail = fc.string({ maxLength: 30, unit: fc.constantFrom(...'id=secret&?#/!%4 +ä\ud800') })
    fc.assert(
      fc.property(tail, fc.boolean(), (text, keepHashes) => {
        const url = `https://a.example/p${text}`
        const page = parsePage(url, true)
        if (page === null) return
        const site = { ...DEFAULT_SITE_SETTINGS, keep_hashes: keepHashes, query_parameters: ['id'] }
        const path = keptPath(page, url, site)
        expect(keptPath(page, url, site)).toBe(path)
        const query = path.split('#')[0]!.split('?')[1] ?? ''
        expect([...new URLSearchParams(query).keys()].every((name) => name === 'id')).toBe(true)
      }),
    )
  })
})
