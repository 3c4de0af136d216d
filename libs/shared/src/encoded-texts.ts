/** Texts that are remembered, and their bytes; all are forgotten when either is full. */
const MAX_TEXTS = 8_192
const MAX_BYTES = 1 << 19
/** Of one text with its prefix: lengths up to 127 take one byte. */
const LONGEST = 128
/** Where the empty text stands, which is never forgotten. */
export const EMPTY_TEXT = 0

/**
 * Short texts as blocks hold them, in UTF-8 behind their length. Most texts of a row came before, and copying a few words
 * takes half as long as encoding them again.
 */
class EncodedTexts {
  readonly #bytes = Buffer.alloc(MAX_BYTES + LONGEST)
  /** Of #bytes. A text begins with its length. */
  readonly view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.length)
  readonly #starts = new Map<string, number>()
  /** Behind the empty text. */
  #used = EMPTY_TEXT + 1

  /** Where a text stands; -1 = it is too long. */
  startOf(text: string): number {
    return this.#starts.get(text) ?? this.#learn(text)
  }

  #learn(text: string): number {
    if (text.length >= LONGEST) return -1
    if (this.#starts.size >= MAX_TEXTS || this.#used + LONGEST > MAX_BYTES) {
      this.#starts.clear()
      this.#used = EMPTY_TEXT + 1
    }
    const start = this.#used
    const length = Buffer.byteLength(text)
    if (length >= LONGEST) return -1
    this.#bytes[start] = length
    this.#bytes.write(text, start + 1)
    this.#starts.set(text, start)
    this.#used = start + 1 + length
    return start
  }
}

/** One for all columns: the same texts stand in many of them. */
export const ENCODED_TEXTS = new EncodedTexts()
