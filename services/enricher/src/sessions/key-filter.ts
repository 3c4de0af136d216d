import type { ColdFile, Place } from '../cold/cold-folder.ts'

/** Entries share 12 bits each: about 1 in 200 absent keys is taken for a known one. */
const BITS_PER_KEY = 12
/** A key looks at one block alone: eight words, side by side, with one bit of the key in each. */
const BLOCK_WORDS = 8
const TWO_32 = 4_294_967_296

/**
 * A Bloom filter in blocks over 64-bit fingerprints, 1.5 bytes a key. The lower half chooses the block, products of the upper
 * half the bits, so that asking costs one look into memory.
 */
export class KeyFilter {
  readonly #blocks: number
  readonly #words: Int32Array

  private constructor(words: Int32Array) {
    this.#words = words
    this.#blocks = words.length / BLOCK_WORDS
  }

  /** `keys`: how many will be added. More do no harm but to the share of keys that are taken for known ones. */
  static for(keys: number): KeyFilter {
    return new KeyFilter(new Int32Array(Math.ceil((keys * BITS_PER_KEY) / (BLOCK_WORDS * 32)) * BLOCK_WORDS))
  }

  save(into: ColdFile): Place {
    return into.put(this.#words)
  }

  static load(from: ColdFile, saved: Place): KeyFilter {
    return new KeyFilter(new Int32Array(from.take(saved)))
  }

  get bytes(): number {
    return this.#words.byteLength
  }

  add(low: number, high: number): void {
    const words = this.#words
    const at = this.#blockOf(low)
    words[at]! |= 1 << (Math.imul(high, 0x9e3779b1) >>> 27)
    words[at + 1]! |= 1 << (Math.imul(high, 0x85ebca6b) >>> 27)
    words[at + 2]! |= 1 << (Math.imul(high, 0xc2b2ae35) >>> 27)
    words[at + 3]! |= 1 << (Math.imul(high, 0x27d4eb2f) >>> 27)
    words[at + 4]! |= 1 << (Math.imul(high, 0x165667b1) >>> 27)
    words[at + 5]! |= 1 << (Math.imul(high, 0xcc9e2d51) >>> 27)
    words[at + 6]! |= 1 << (Math.imul(high, 0x1b873593) >>> 27)
    words[at + 7]! |= 1 << (Math.imul(high, 0x6c62272b) >>> 27)
  }

  /** False = the key was not added. */
  mayHold(low: number, high: number): boolean {
    const words = this.#words
    const at = this.#blockOf(low)
    // All eight without a branch: looks into several filters overlap then, where guesses at branches would fail half the time.
    const bits =
      (words[at]! >>> (Math.imul(high, 0x9e3779b1) >>> 27)) &
      (words[at + 1]! >>> (Math.imul(high, 0x85ebca6b) >>> 27)) &
      (words[at + 2]! >>> (Math.imul(high, 0xc2b2ae35) >>> 27)) &
      (words[at + 3]! >>> (Math.imul(high, 0x27d4eb2f) >>> 27)) &
      (words[at + 4]! >>> (Math.imul(high, 0x165667b1) >>> 27)) &
      (words[at + 5]! >>> (Math.imul(high, 0xcc9e2d51) >>> 27)) &
      (words[at + 6]! >>> (Math.imul(high, 0x1b873593) >>> 27)) &
      (words[at + 7]! >>> (Math.imul(high, 0x6c62272b) >>> 27))
    return (bits & 1) !== 0
  }

  #blockOf(low: number): number {
    return Math.floor((low / TWO_32) * this.#blocks) * BLOCK_WORDS
  }
}
