import { isAscii } from 'node:buffer'
import { brotliDecompressSync, gunzipSync, inflateRawSync, inflateSync } from 'node:zlib'
import { MAX_BODY_BYTES, MillraceError } from '@millrace/shared'

/** Content encodings that are understood, as Accept-Encoding lists them. */
export const ACCEPTED_ENCODINGS = 'gzip, deflate, br'

const strictUtf8 = new TextDecoder('utf-8', { fatal: true })
const bounded = { maxOutputLength: MAX_BODY_BYTES }

/**
 * The text of a body of at most 64 KB, which is also what it may be after decompression. A byte order mark is dropped.
 * @throws MillraceError encoding_unsupported, body_too_large, body_invalid (broken compression), json_invalid (not UTF-8)
 */
export function readBody(body: Buffer, contentEncoding: string | undefined): string {
  const bytes = contentEncoding === undefined ? body : decompress(body, contentEncoding.trim().toLowerCase())
  if (isAscii(bytes)) return bytes.toString('latin1')
  try {
    return strictUtf8.decode(bytes)
  } catch {
    throw new MillraceError('json_invalid', 'The body is not valid UTF-8.')
  }
}

/** In the thread itself: 64 KB take less than the way to the thread pool and back. Never gives out more than the limit. */
function decompress(body: Buffer, encoding: string): Buffer {
  try {
    switch (encoding) {
      case '':
      case 'identity':
        return body
      case 'gzip':
      case 'x-gzip':
        return gunzipSync(body, bounded)
      case 'deflate':
        // RFC 9110 means the zlib format, but some senders use the bare one. Zlib's first byte says 8 in its low half.
        return (body[0]! & 0x0f) === 8 ? inflateSync(body, bounded) : inflateRawSync(body, bounded)
      case 'br':
        return brotliDecompressSync(body, bounded)
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') {
      throw new MillraceError('body_too_large', `The body is larger than ${MAX_BODY_BYTES} bytes after decompression.`)
    }
    throw new MillraceError('body_invalid', `The body is not valid ${encoding} data.`)
  }
  throw new MillraceError('encoding_unsupported', `Supported are: ${ACCEPTED_ENCODINGS}.`)
}
