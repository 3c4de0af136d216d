import { describe, expect, it } from 'vitest'
import { isAssetUrl } from './asset-path.ts'

describe('isAssetUrl', () => {
  it.each([
    ['https://example.com/logo.png', true],
    ['https://example.com/a/b.min.JS?v=1.2', true],
    ['https://example.com/font.woff2#x', true],
    ['https://example.com/app.webmanifest', true],
    ['https://example.com/pack.tar.gz', true],
    ['https://example.com/', false],
    ['https://example.com', false],
    ['https://example.js', false],
    ['https://example.js/', false],
    ['https://example.js?x=a.png', false],
    ['https://example.js#/a.png', false],
    ['https://example.com/pricing', false],
    ['https://example.com/page.html', false],
    ['https://example.com/report.pdf', false],
    ['https://example.com/robots.txt', false],
    ['https://example.com/v1.2', false],
    ['https://example.com/a.png/details', false],
    ['https://example.com/?file=a.png', false],
    ['https://example.com/page#a.png', false],
    ['https://example.com/.', false],
    ['https://example.com/page.', false],
  ])('it tells of %s: %s', (url, expected) => {
    expect(isAssetUrl(url)).toBe(expected)
  })
})
