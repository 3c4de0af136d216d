import { describe, expect, it } from 'vitest'
import { readPlainRequest } from './read-plain-request.ts'

const HEAD = 'POST /v1/hits HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n'
const read = (text: string) => readPlainRequest(Buffer.from(text, 'latin1'))

describe('readPlainRequest', () => {
  it('it reads the head, and says where the body is', () => {
    const head = `${HEAD}User-Agent: \t caf\xe9 (x) \r\nDNT:1\r\nX-Empty:\r\n\r\n`
    expect(read(`${head}abc`)).toEqual({
      method: 'POST',
      path: '/v1/hits',
      headers: { host: 'a', 'content-length': '3', 'user-agent': 'caf\xe9 (x)', dnt: '1', 'x-empty': '' },
      bodyAt: head.length,
      end: head.length + 3,
    })
  })

  it('it reads a head of which the body has not come, or more than the body', () => {
    for (const rest of ['', 'a', 'abcPOST /']) expect(read(`${HEAD}\r\n${rest}`)?.end).toBe(HEAD.length + 5)
  })

  it('it takes the one value of Connection that changes nothing', () => {
    expect(read(`${HEAD}Connection: Keep-Alive\r\n\r\nabc`)).not.toBeNull()
  })

  it.each([
    ['a head that is not whole', HEAD],
    ['nothing', ''],
    ['HTTP/1.0', `${HEAD.replace('1.1', '1.0')}\r\nabc`],
    ['another protocol', '\x16\x03\x01\x02\0\x01\0\r\n\r\n'],
    ['an absolute address', `${HEAD.replace('/v1', 'http://a/v1')}\r\nabc`],
    ['two blanks in the request line', `${HEAD.replace('POST ', 'POST  ')}\r\nabc`],
    ['no Host', `${HEAD.replace('Host: a\r\n', '')}\r\nabc`],
    ['no Content-Length', `${HEAD.replace('Content-Length: 3\r\n', '')}\r\nabc`],
    ['a header twice', `${HEAD}DNT: 1\r\ndnt: 1\r\n\r\nabc`],
    ['two lengths', `${HEAD}Content-Length: 4\r\n\r\nabc`],
    ['a length that is no number', `${HEAD.replace(': 3', ': +3')}\r\nabc`],
    ['a list of lengths', `${HEAD.replace(': 3', ': 3, 3')}\r\nabc`],
    ['Transfer-Encoding', `${HEAD}Transfer-Encoding: chunked\r\n\r\nabc`],
    ['Expect', `${HEAD}Expect: 100-continue\r\n\r\nabc`],
    ['Upgrade', `${HEAD}Upgrade: h2c\r\n\r\nabc`],
    ['Connection: close', `${HEAD}Connection: close\r\n\r\nabc`],
    ['a blank before the colon', `${HEAD}DNT : 1\r\n\r\nabc`],
    ['a line without a colon', `${HEAD}DNT\r\nA: b\r\n\r\nabc`],
    ['a line that goes on', `${HEAD}DNT: 1\r\n 2\r\n\r\nabc`],
    ['a name that is none', `${HEAD}D(T: 1\r\n\r\nabc`],
    ['a header without a name', `${HEAD}: 1\r\n\r\nabc`],
    ['a line feed alone', `${HEAD}A: 1\nB: 2\r\n\r\nabc`],
    ['a line feed at the start of a line', `${HEAD}\nB: 2\r\n\r\nabc`],
    ['a carriage return alone', `${HEAD}A: 1\rB: 2\r\n\r\nabc`],
    ['a NUL', `${HEAD}A: 1\0\r\n\r\nabc`],
    ['a name of Object.prototype', `${HEAD}__proto__: 1\r\n\r\nabc`],
    ['a head that is too long', `${HEAD}A: ${'x'.repeat(8_192)}\r\n\r\nabc`],
  ])('it leaves to node: %s', (_, text) => {
    expect(read(text)).toBeNull()
  })
})
