import { Uuid } from '@millrace/shared'

const LENGTH = 36
const HYPHEN = 45
/** By code: the value of a hex digit, -1 for anything else. */
const DIGITS = new Int8Array(256).fill(-1)
for (let digit = 0; digit < 16; digit++) {
  const text = digit.toString(16)
  DIGITS[text.charCodeAt(0)] = DIGITS[text.toUpperCase().charCodeAt(0)] = digit
}
const SCRATCH = Buffer.alloc(LENGTH)

/** The UUID of a text; null when it is none. */
export function readUuid(value: unknown): Uuid | null {
  if (typeof value !== 'string' || value.length !== LENGTH) return null
  // As UTF-8, so that no letter beyond ASCII looks like a digit.
  return SCRATCH.write(value) === LENGTH ? uuidAt(SCRATCH, 0) : null
}

/** The UUID that stands at `at`; null when something else does. It runs for every hit. */
export function uuidAt(bytes: Uint8Array, at: number): Uuid | null {
  const hyphens = (bytes[at + 8]! ^ HYPHEN) | (bytes[at + 13]! ^ HYPHEN) | (bytes[at + 18]! ^ HYPHEN)
  if ((hyphens | (bytes[at + 23]! ^ HYPHEN)) !== 0) return null
  const a = fourDigits(bytes, at)
  const b = fourDigits(bytes, at + 4)
  const c = fourDigits(bytes, at + 9)
  const d = fourDigits(bytes, at + 14)
  const e = fourDigits(bytes, at + 19)
  const f = fourDigits(bytes, at + 24)
  const g = fourDigits(bytes, at + 28)
  const h = fourDigits(bytes, at + 32)
  if ((a | b | c | d | e | f | g | h) < 0) return null
  return new Uuid((a << 16) | b, (c << 16) | d, (e << 16) | f, (g << 16) | h)
}

/** Negative when one of them is none. */
const fourDigits = (bytes: Uint8Array, at: number): number =>
  (DIGITS[bytes[at]!]! << 12) |
  (DIGITS[bytes[at + 1]!]! << 8) |
  (DIGITS[bytes[at + 2]!]! << 4) |
  DIGITS[bytes[at + 3]!]!
