import type { Hash64, Uuid } from '@millrace/shared'

/** Two 32-bit halves of a fingerprint, written by the mixing functions: no object, no bigint per hit. */
export interface Fingerprint {
  low: number
  high: number
}

const scratch = new Int32Array(6)

/** Mixes a UUID and a hash into 64 bits: two lanes in the manner of MurmurHash3, with different constants. */
export function mix(uuid: Uuid, hash: Hash64, out: Fingerprint): void {
  const words = scratch
  words[0] = uuid.word0
  words[1] = uuid.word1
  words[2] = uuid.word2
  words[3] = uuid.word3
  words[4] = hash.high
  words[5] = hash.low
  let low = 0x9747b28c
  let high = 0x3c6ef372
  for (let i = 0; i < 6; i++) {
    const word = words[i]!
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
