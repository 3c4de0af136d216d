import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePage } from './page.ts'
import { MAX_PATH } from './text.ts'

describe('parsePage', () => {
  it.each([
    ['https://example.com', 'example.com', '/', ''],
    ['https://example.com/', 'example.com', '/', ''],
    ['https://example.com/pricing?utm_source=news#top', 'example.com', '/pricing', 'utm_source=news'],
    ['http://localhost:3000/a/b.html', 'localhost', '/a/b.html', ''],
    ['https://example.com?x=1', 'example.com', '/', 'x=1'],
    ['https://example.com#x?y', 'example.com', '/', ''],
    ['https://example.com/%C3%A4%20b', 'example.com', '/%C3%A4%20b', ''],
    ['https://example.com/ä b', 'example.com', '/%C3%A4%20b', ''],
    ['HTTPS://Example.COM/Path', 'example.com', '/Path', ''],
    ['https://user:secret@example.com/x', 'example.com', '/x', ''],
    ['https://bücher.example/x', 'xn--bcher-kva.example', '/x', ''],
    ['https://example.com/a/../b/./c', 'example.com', '/b/c', ''],
    ['https://example.com/a/%2e%2E/b', 'example.com', '/b', ''],
    ['http://127.1/x', '127.0.0.1', '/x', ''],
    ['http://[::1]:8080/x', '[::1]', '/x', ''],
    ['https://example.com/a\tb', 'example.com', '/ab', ''],
    ['https://example.com:443/x', 'example.com', '/x', ''],
  ])('reads %s', (url, hostname, path, query) => {
    expect(parsePage(url, true)).toEqual({ hostname, path, query })
  })

  it.each([
    '',
    '/pricing',
    'example.com',
    'ftp://example.com/',
    'javascript:alert(1)',
    'https://',
    'https://a b/',
    'https://example.com:99999/',
    null,
    7,
    {},
  ])('refuses %j', (url) => {
    expect(parsePage(url, true)).toBeNull()
  })

  it('needs no url of an engagement signal', () => {
    expect(parsePage(undefined, false)).toEqual({ hostname: '', path: '', query: '' })
    expect(parsePage('nonsense', false)).toBeNull()
  })

  it.each([
    ['https://a? ', ''],
    ['https://a/b?q=1 \t#c', 'q=1'],
    ['https://a/?q=\n1', 'q=1'],
    ['https://a/?q=1#f ', 'q=1'],
  ])('leaves the blanks of %j out of the query', (url, query) => {
    expect(parsePage(url, true)!.query.replaceAll('%20', '')).toBe(query)
  })

  it('cuts long paths', () => {
    expect(parsePage(`https://example.com/${'a'.repeat(5_000)}?${'q'.repeat(200)}`, true)!.path).toHaveLength(MAX_PATH)
    expect(parsePage(`https://Example.com/${'ä'.repeat(5_000)}`, true)!.path).toHaveLength(MAX_PATH)
  })

  it('reads every url as the URL standard does', () => {
    const piece = fc.oneof(
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc
        .tuple(
          fc.constantFrom('https://', 'http://', 'HTTP://', 'https:/', 'https:\\\\'),
          fc.string({ maxLength: 12, unit: fc.constantFrom(...'ab.-19xn@:%[]A_ä') }),
          fc.constantFrom('', ':80', ':8080', ':', ':0443', ':65536'),
          fc.string({ maxLength: 16, unit: fc.constantFrom(...'/.%2eEab \\?#^|`{}"<>~!$&\'()*+,;=:@[]\tä\ud800') }),
        )
        .map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(piece, (url) => {
        const page = parsePage(url, true)
        if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
          expect(page).toBeNull()
          return
        }
        const { hostname, pathname, search } = new URL(url)
        expect([page!.hostname, page!.path]).toEqual([hostname, pathname])
        expect(new URLSearchParams(`?${page!.query}`).toString()).toBe(new URLSearchParams(search).toString())
      }),
      { numRuns: 1_000 },
    )
  })
})
