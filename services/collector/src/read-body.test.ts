import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import type { MillraceError } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { readBody } from './read-body.ts'

const text = '{"title":"Grüße 😀"}'
const bytes = Buffer.from(text)
const bomb = Buffer.alloc(10_000_000, 0x20)

describe('readBody', () => {
  it.each([
    ['plain', bytes, undefined],
    ['ascii', Buffer.from('{"a":1}'), undefined],
    ['a byte order mark', Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]), undefined],
    ['identity', bytes, 'identity'],
    ['gzip', gzipSync(bytes), 'gzip'],
    ['gzip in capitals', gzipSync(bytes), ' GZIP '],
    ['two gzip members', Buffer.concat([gzipSync(bytes.subarray(0, 12)), gzipSync(bytes.subarray(12))]), 'x-gzip'],
    ['deflate', deflateSync(bytes), 'deflate'],
    ['bare deflate', deflateRawSync(bytes), 'deflate'],
    ['brotli', brotliCompressSync(bytes), 'br'],
    ['exactly 64 KB', gzipSync(Buffer.alloc(65_536, 0x20)), 'gzip'],
  ])('it reads %s', (what, body, encoding) => {
    const expected = what === 'ascii' ? '{"a":1}' : what === 'exactly 64 KB' ? ' '.repeat(65_536) : text
    expect(readBody(body, encoding)).toBe(expected)
  })

  it.each([
    ['a gzip bomb', gzipSync(bomb), 'gzip', 'body_too_large'],
    ['a deflate bomb', deflateSync(bomb), 'deflate', 'body_too_large'],
    ['a bare deflate bomb', deflateRawSync(bomb), 'deflate', 'body_too_large'],
    ['a brotli bomb', brotliCompressSync(bomb), 'br', 'body_too_large'],
    ['one byte too many', gzipSync(Buffer.alloc(65_537, 0x20)), 'gzip', 'body_too_large'],
    ['cut gzip', gzipSync(bytes).subarray(0, 20), 'gzip', 'body_invalid'],
    ['gzip that is none', bytes, 'gzip', 'body_invalid'],
    ['deflate that is none', Buffer.from([0xff, 0xff]), 'deflate', 'body_invalid'],
    ['empty deflate', Buffer.alloc(0), 'deflate', 'body_invalid'],
    ['brotli that is none', bytes, 'br', 'body_invalid'],
    ['zstd', bytes, 'zstd', 'encoding_unsupported'],
    ['two encodings', bytes, 'gzip, gzip', 'encoding_unsupported'],
    ['half a UTF-8 character', bytes.subarray(0, 13), undefined, 'json_invalid'],
    ['an overlong NUL', Buffer.from([0x22, 0xc0, 0x80, 0x22]), undefined, 'json_invalid'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), undefined, 'json_invalid'],
    ['UTF-16', Buffer.from('\ufeff{}', 'utf16le'), undefined, 'json_invalid'],
    ['bad UTF-8 in gzip', gzipSync(Buffer.from([0xff])), 'gzip', 'json_invalid'],
  ])('it refuses %s', (_what, body, encoding, code) => {
    try {
      readBody(body, encoding)
    } catch (error) {
      expect((error as MillraceError).code).toBe(code)
      return
    }
    expect.unreachable()
  })
})
