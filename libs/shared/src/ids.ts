/**
 * Ids as 32-bit words instead of text, for those who handle very many: columns take them as they are, and they are compared,
 * mixed and stored without looking at digits. Words are signed, which V8 keeps without a box.
 */
const ID = /^[0-9a-f]{16}$/
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** The 64 bits of a hash: what columns call visitor_id and session_id. */
export class Hash64 {
  readonly high: number
  readonly low: number

  constructor(high: number, low: number) {
    this.high = high | 0
    this.low = low | 0
  }

  /** @throws RangeError when it is not 16 lower case hex digits */
  static of(hex: string): Hash64 {
    if (!ID.test(hex)) throw new RangeError(`not 16 hex digits: ${hex}`)
    return new Hash64(Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8), 16))
  }

  equals(other: Hash64): boolean {
    return this.low === other.low && this.high === other.high
  }

  /** 16 hex digits. */
  toString(): string {
    return hex(this.high) + hex(this.low)
  }

  toJSON(): string {
    return this.toString()
  }
}

/** A UUID; the first word is the highest. Whoever holds one alone may write another into it. */
export class Uuid {
  word0: number
  word1: number
  word2: number
  word3: number

  constructor(word0: number, word1: number, word2: number, word3: number) {
    this.word0 = word0 | 0
    this.word1 = word1 | 0
    this.word2 = word2 | 0
    this.word3 = word3 | 0
  }

  copy({ word0, word1, word2, word3 }: Uuid): void {
    this.word0 = word0
    this.word1 = word1
    this.word2 = word2
    this.word3 = word3
  }

  /** @throws RangeError when it is not a UUID in lower case */
  static of(text: string): Uuid {
    if (!UUID.test(text)) throw new RangeError(`not a UUID: ${text}`)
    const digits = text.replaceAll('-', '')
    const [a, b, c, d] = [0, 8, 16, 24].map((at) => Number.parseInt(digits.slice(at, at + 8), 16)) as Four
    return new Uuid(a, b, c, d)
  }

  equals(other: Uuid): boolean {
    return (
      this.word0 === other.word0 &&
      this.word1 === other.word1 &&
      this.word2 === other.word2 &&
      this.word3 === other.word3
    )
  }

  /** As UUIDs are written, in lower case. */
  toString(): string {
    const digits = hex(this.word0) + hex(this.word1) + hex(this.word2) + hex(this.word3)
    return digits.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
  }

  toJSON(): string {
    return this.toString()
  }
}

type Four = [number, number, number, number]

/** None. */
export const NO_HASH = new Hash64(0, 0)
/** None. */
export const NIL_UUID = new Uuid(0, 0, 0, 0)

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, '0')
