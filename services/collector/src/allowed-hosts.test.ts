import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAllowedHosts, hostOf } from './allowed-hosts.ts'

describe('createAllowedHosts', () => {
  it.each<[string[], string, boolean]>([
    [['example.com'], 'https://example.com/a', true],
    [['example.com'], 'http://example.com:8080/a', true],
    [['example.com'], 'https://EXAMPLE.com', true],
    [['example.com'], 'https://example.com.', true],
    [['Example.COM'], 'https://example.com', true],
    [['bücher.example'], 'https://xn--bcher-kva.example/', true],
    [['bücher.example'], 'https://bücher.example/', true],
    [['example.com'], 'https://www.example.com/', false],
    [['example.com'], 'https://example.com.evil.example/', false],
    [['example.com'], 'https://evilexample.com/', false],
    [['example.com'], 'https://example.com@evil.example/', false],
    [['example.com'], 'https://evil.example\\@example.com/', false],
    [['example.com'], 'https://evil.example#example.com', false],
    [['example.com'], 'https://evil.example?https://example.com', false],
    [['*.example.com'], 'https://www.example.com/', true],
    [['*.example.com'], 'https://a.b.example.com/', true],
    [['*.example.com'], 'https://example.com/', false],
    [['*.example.com'], 'https://evilexample.com/', false],
    [['example.com', '*.example.com'], 'https://example.com/', true],
    [['localhost'], 'http://localhost:3000/', true],
    [['127.0.0.1'], 'http://127.0.0.1:3000/', true],
    [['[::1]'], 'http://[::1]:3000/', true],
    [['not a host'], 'https://example.com/', false],
  ])('it tells with %j of %s: %s', (patterns, url, expected) => {
    expect(createAllowedHosts(patterns)!(hostOf(url))).toBe(expected)
  })

  it('it is nothing when any host may send', () => {
    expect(createAllowedHosts([])).toBeNull()
  })
})

describe('hostOf', () => {
  it('it finds the host that the URL standard finds', () => {
    const host = fc.constantFrom('example.com', 'a-b.example', 'localhost', 'Example.com', 'xn--bcher-kva.example')
    const tail = fc.constantFrom(
      '',
      '/',
      '/a?b#c',
      '?x',
      '#y',
      ':80/',
      ':8080',
      '\\x',
      '@evil.example/',
      ':a@evil.example/',
    )
    fc.assert(
      fc.property(host, tail, fc.constantFrom('http', 'https'), (name, rest, scheme) => {
        const url = `${scheme}://${name}${rest}`
        expect(hostOf(url)).toBe(URL.canParse(url) ? new URL(url).hostname : '')
      }),
    )
  })

  it.each(['null', '', 'example.com', 'https://'])('it finds none in %j', (text) => {
    expect(hostOf(text)).toBe('')
  })
})
