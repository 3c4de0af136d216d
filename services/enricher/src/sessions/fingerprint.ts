/** Two 32-bit halves of a fingerprint, written by the mixing functions: no object, no bigint per hit. */
export interface Fingerprint {
  low: number
  high: number
}

/** The four 32-bit words of a canonical UUID text into `words`. */
export function readUuidWords(uuid: string, words: Uint32Array): void {
  words[0] = hexWord(uuid, 0, 8)
  words[1] = (hexWord(uuid, 9, 13) << 16) | hexWord(uuid, 14, 18)
  words[2] = (hexWord(uuid, 19, 23) << 16) | hexWord(uuid, 24, 28)
  words[3] = hexWord(uuid, 28, 36)
}

/** Lower case hex digits [from, to) as an integer of at most 32 bits. */
export function hexWord(text: string, from: number, to: number): number {
  let word = 0
  for (let i = from; i < to; i++) {
    const code = text.charCodeAt(i)
    word = (word << 4) | (code > 57 ? code - 87 : code - 48)
  }
  return word
}

/** Mixes the UUID's words and two more into 64 bits: two lanes in the manner of MurmurHash3, with different constants. */
export function mix(words: Uint32Array, a: number, b: number, out: Fingerprint): void {
  let low = 0x9747b28c
  let high = 0x3c6ef372
  for (let i = 0; i < 6; i++) {
    const word = i < 4 ? words[i]! : i === 4 ? a : b
    low = Math.imul(rotate(low ^ scramble(word, 0xcc9e2d51, 0x1b873593), 13), 5) + 0xe6546b64
    high = Math.imul(rotate(high ^ scramble(word, 0x239b961b, 0xab0e9789), 17), 9) + 0x561ccd1b
  }
  out.low = finish(low ^ 24)
  out.high = finish(high ^ 24 ^ low)
}

const rotate = (word: number, by: number): number => (word << by) | (word >>> (32 - by))
const scramble = (word: number, first: number, second: number): number =>
  Math.imul(rotate(Math.imul(word, first), 15), second)

function finish(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
