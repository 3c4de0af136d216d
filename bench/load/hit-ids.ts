/**
 * Hit ids of a load run: UUIDs that look random to the server, and from which the number of the hit can be read back, so
 * that a run of millions of hits is recorded in a few bytes each.
 */
const HEX = Buffer.from(Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join(''))

/** Bijective on 32 bits (MurmurHash3's finaliser). */
export function scramble(n: number): number {
  let h = n | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}

/** Inverse of `scramble`. */
export function unscramble(n: number): number {
  let h = n | 0
  h = Math.imul(h ^ (h >>> 16), 0x7ed1b41d)
  h = Math.imul(h ^ (h >>> 13) ^ (h >>> 26), 0xa5cb9243)
  return (h ^ (h >>> 16)) >>> 0
}

function writeHex32(target: Buffer, at: number, value: number): void {
  for (let byte = 0; byte < 4; byte++) {
    const pair = ((value >>> (24 - 8 * byte)) & 0xff) * 2
    target[at + 2 * byte] = HEX[pair]!
    target[at + 2 * byte + 1] = HEX[pair + 1]!
  }
}

/** The 28 last characters of every id of a run: version 7, variant 8, and the seed in the rest. */
function tailOf(seed: number): string {
  const hex = (seed >>> 0).toString(16).padStart(8, '0')
  return `-${hex.slice(0, 4)}-7${hex.slice(4, 7)}-8${hex.slice(7)}00-`
}

/** What the ids of one run have in common: patch `writeHitId` over a copy of this text. */
export function hitIdTemplate(seed: number): string {
  return `00000000${tailOf(seed)}000000000000`
}

/** Writes the varying characters of the id of hit `n` (0 to 2^32 - 1) over a template at `at`. */
export function writeHitId(target: Buffer, at: number, n: number): void {
  writeHex32(target, at, scramble(n))
  writeHex32(target, at + 24, scramble(n ^ 0x5bd1e995))
}

/** The id of hit `n` as text. */
export function hitIdOf(seed: number, n: number): string {
  const id = Buffer.from(hitIdTemplate(seed))
  writeHitId(id, 0, n)
  return id.toString('latin1')
}

/** The number of the hit with this id; -1 when it is not an id of the run. */
export function numberOfHitId(seed: number, id: string): number {
  const n = unscramble(Number.parseInt(id.slice(0, 8), 16))
  return hitIdOf(seed, n) === id ? n : -1
}
