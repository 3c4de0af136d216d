import { areEqual, hashOf } from './byte-words.ts'

/** Each text has one place, given by its hash, and the last one stays. */
const PLACES = 8_192
/** Longer texts are made each time. */
const MAX_LENGTH = 128

/**
 * Texts by their bytes, so that one that comes again is not made again: most pages, titles and referrers came before, and
 * what is looked up by a text goes faster by the same one. It remembers up to 8,192, in about 2 MB.
 */
export class KnownTexts {
  readonly #hashes = new Int32Array(PLACES)
  readonly #lengths = new Uint8Array(PLACES)
  readonly #known = new DataView(new ArrayBuffer(PLACES * MAX_LENGTH))
  readonly #texts: string[] = new Array(PLACES).fill('')

  /** The text of the ASCII bytes in [from, to); `view` is of `bytes`. */
  textOf(bytes: Buffer, view: DataView, from: number, to: number): string {
    const length = to - from
    if (length > MAX_LENGTH) return bytes.toString('latin1', from, to)
    const hash = hashOf(view, from, to)
    const place = hash & (PLACES - 1)
    const isKnown =
      this.#hashes[place] === hash &&
      this.#lengths[place] === length &&
      areEqual(this.#known, place * MAX_LENGTH, view, from, length)
    return isKnown ? this.#texts[place]! : this.#learn(place, hash, bytes, from, to)
  }

  #learn(place: number, hash: number, bytes: Buffer, from: number, to: number): string {
    const text = bytes.toString('latin1', from, to)
    this.#hashes[place] = hash
    this.#lengths[place] = to - from
    new Uint8Array(this.#known.buffer).set(bytes.subarray(from, to), place * MAX_LENGTH)
    this.#texts[place] = text
    return text
  }
}
