/**
 * Bytes by four at a time, through a DataView: a loop over single bytes takes three times as long, a call into C++ costs more
 * than short texts are worth.
 */
const FIRST_HASH = 5_381

/** The bytes of a text. */
export const viewOf = (text: string): DataView => new DataView(new TextEncoder().encode(text).buffer)

/** Of the bytes in [from, to). Equal hashes mean nothing until the bytes are compared. */
export function hashOf(view: DataView, from: number, to: number): number {
  let hash = FIRST_HASH
  let at = from
  for (; at + 4 <= to; at += 4) hash = mix(hash ^ view.getInt32(at))
  for (; at < to; at++) hash = mix(hash ^ view.getUint8(at))
  return hash
}

/** A product moves bits up only: texts that differ in their highest bytes, as numbers do, need the way down as well. */
function mix(word: number): number {
  const product = Math.imul(word, 0x9e3779b1)
  return product ^ (product >>> 15)
}

/** Whether `length` bytes are the same from `aFrom` on in `a` and from `bFrom` on in `b`. */
export function areEqual(a: DataView, aFrom: number, b: DataView, bFrom: number, length: number): boolean {
  let i = 0
  for (; i + 4 <= length; i += 4) if (a.getInt32(aFrom + i) !== b.getInt32(bFrom + i)) return false
  for (; i < length; i++) if (a.getUint8(aFrom + i) !== b.getUint8(bFrom + i)) return false
  return true
}

/** By byte: 1 = ASCII that stands for itself in a JSON text. */
const PLAIN = new Uint8Array(256).fill(1, 32, 128)
PLAIN[34] = PLAIN[92] = 0

/** Where the plain bytes from `from` on end: at a quote, a backslash, a control character, another letter than ASCII's, or `end`. */
export function plainEnd(view: DataView, from: number, end: number): number {
  let at = from
  while (at + 4 <= end && isPlain(view.getInt32(at))) at += 4
  while (at < end && PLAIN[view.getUint8(at)] === 1) at++
  return at
}

/** Four bytes at once: subtracting sets the highest bit of a byte that was smaller, and is 0 where it was equal. */
function isPlain(word: number): boolean {
  const quote = word ^ 0x22222222
  const backslash = word ^ 0x5c5c5c5c
  const odd =
    word | ((word - 0x20202020) & ~word) | ((quote - 0x01010101) & ~quote) | ((backslash - 0x01010101) & ~backslash)
  return (odd & 0x80808080) === 0
}
