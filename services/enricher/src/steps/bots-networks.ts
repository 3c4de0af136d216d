import { isIPv4, isIPv6 } from 'node:net'

/** Networks that addresses are looked up in: sorted ranges, about 12 bytes (IPv4) and 80 bytes (IPv6) each. */
export class NetworkList {
  readonly #starts4: Uint32Array
  readonly #ends4: Uint32Array
  readonly #ranges6: readonly (readonly [start: bigint, end: bigint])[]

  private constructor(
    ranges4: readonly (readonly [number, number])[],
    ranges6: readonly (readonly [bigint, bigint])[],
  ) {
    this.#starts4 = Uint32Array.from(ranges4, ([start]) => start)
    this.#ends4 = Uint32Array.from(ranges4, ([, end]) => end)
    this.#ranges6 = ranges6
  }

  /**
   * Reads a list: one network in CIDR notation or one address a line; `#` begins a comment, empty lines are nothing.
   * @throws Error that names the first line (by number, never by content) that is neither
   */
  static parse(text: string): NetworkList {
    const ranges4: [number, number][] = []
    const ranges6: [bigint, bigint][] = []
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const network = line.replace(/#.*/, '').trim()
      if (network === '') continue
      const [address = '', bits, ...rest] = network.split('/')
      const v4 = isIPv4(address)
      const length = bits === undefined ? (v4 ? 32 : 128) : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
      if ((!v4 && !isIPv6(address)) || rest.length > 0 || !(length <= (v4 ? 32 : 128))) {
        throw new Error(`line ${index + 1} is no network in CIDR notation`)
      }
      if (v4) ranges4.push(range4(address, length))
      else ranges6.push(range6(address, length))
    }
    return new NetworkList(
      merge(ranges4, (a, b) => a - b, 1),
      merge(ranges6, (a, b) => (a < b ? -1 : a > b ? 1 : 0), 1n),
    )
  }

  get size(): number {
    return this.#starts4.length + this.#ranges6.length
  }

  /** Whether the address is in one of the networks; false for what is no address. An IPv4 address in IPv6 is an IPv4 one. */
  has(address: string): boolean {
    const plain = address.startsWith('::ffff:') && isIPv4(address.slice(7)) ? address.slice(7) : address
    if (isIPv4(plain)) {
      const number = number4(plain)
      const at = lastAtMost(this.#starts4.length, (i) => this.#starts4[i]! <= number)
      return at >= 0 && number <= this.#ends4[at]!
    }
    if (this.#ranges6.length === 0 || !isIPv6(plain)) return false
    const number = number6(plain)
    const at = lastAtMost(this.#ranges6.length, (i) => this.#ranges6[i]![0] <= number)
    return at >= 0 && number <= this.#ranges6[at]![1]
  }
}

/** Index of the last of `length` sorted entries that `holds` is true of; -1 = of none. */
function lastAtMost(length: number, holds: (index: number) => boolean): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (holds(middle)) low = middle + 1
    else high = middle
  }
  return low - 1
}

/** Sorted ranges without overlaps. */
function merge<N extends number | bigint>(ranges: [N, N][], compare: (a: N, b: N) => number, one: N): [N, N][] {
  const merged: [N, N][] = []
  for (const [start, end] of ranges.toSorted((a, b) => compare(a[0], b[0]))) {
    const last = merged.at(-1)
    if (last === undefined || compare(start, ((last[1] as bigint) + (one as bigint)) as N) > 0)
      merged.push([start, end])
    else if (compare(end, last[1]) > 0) last[1] = end
  }
  return merged
}

function number4(address: string): number {
  let number = 0
  for (const part of address.split('.')) number = number * 256 + Number(part)
  return number
}

function range4(address: string, length: number): [number, number] {
  const size = 2 ** (32 - length)
  const start = Math.floor(number4(address) / size) * size
  return [start, start + size - 1]
}

function number6(address: string): bigint {
  const [bare = ''] = address.split('%')
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(bare)
  const text = dotted ? `${dotted[1]}${hex(number4(dotted[2]!) >>> 16)}:${hex(number4(dotted[2]!) & 65_535)}` : bare
  const [head = '', tail] = text.split('::')
  const first = head === '' ? [] : head.split(':')
  const last = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups = tail === undefined ? first : [...first, ...Array(8 - first.length - last.length).fill('0'), ...last]
  return groups.reduce((number, group) => (number << 16n) | BigInt(`0x${group}`), 0n)
}

const hex = (number: number): string => number.toString(16)

function range6(address: string, length: number): [bigint, bigint] {
  const rest = BigInt(128 - length)
  const start = (number6(address) >> rest) << rest
  return [start, start + (1n << rest) - 1n]
}
