/** A value of a database in MaxMind's format; numbers are whole and not negative. */
export type MmdbValue = string | number | readonly MmdbValue[] | { readonly [key: string]: MmdbValue }

/** What a small database says of itself, and its records by network (`203.0.113.0/24`, `2001:db8::/32`). */
export interface MmdbContent {
  readonly type: string
  /** Epoch seconds. */
  readonly builtAt: number
  readonly ipVersion?: 4 | 6
  readonly networks: Readonly<Record<string, MmdbValue>>
}

/** A branch: the node that follows, the record at its end, or nothing. */
type Branch = { node: number } | { data: number } | null

/**
 * The bytes of a database, by the specification of the format (maxmind.github.io/MaxMind-DB): records of 24 bits, no
 * pointers. IPv4 networks of an IPv6 database stand below `::/96`.
 */
export function writeMmdb({ type, builtAt, ipVersion = 6, networks }: MmdbContent): Buffer {
  const nodes: [Branch, Branch][] = [[null, null]]
  const data: Buffer[] = []
  let dataBytes = 0
  for (const [network, record] of Object.entries(networks)) {
    const bytes = encode(record)
    insert(nodes, bitsOf(network, ipVersion), { data: dataBytes })
    data.push(bytes)
    dataBytes += bytes.length
  }
  const tree = Buffer.alloc(nodes.length * 6)
  for (const [i, branches] of nodes.entries()) {
    for (const [side, branch] of branches.entries()) {
      const value = branch === null ? nodes.length : 'node' in branch ? branch.node : nodes.length + 16 + branch.data
      tree.writeUIntBE(value, i * 6 + side * 3, 3)
    }
  }
  const metadata = encode({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: builtAt,
    database_type: type,
    description: { en: 'for tests' },
    ip_version: ipVersion,
    languages: ['en'],
    node_count: nodes.length,
    record_size: 24,
  })
  const marker = Buffer.from('\xab\xcd\xefMaxMind.com', 'latin1')
  return Buffer.concat([tree, Buffer.alloc(16), ...data, marker, metadata])
}

function insert(nodes: [Branch, Branch][], bits: readonly number[], leaf: Branch): void {
  let node = 0
  for (const [depth, bit] of bits.entries()) {
    if (depth === bits.length - 1) {
      nodes[node]![bit] = leaf
      return
    }
    const next = nodes[node]![bit]
    if (next && 'node' in next) node = next.node
    else {
      nodes.push([null, null])
      nodes[node]![bit] = { node: nodes.length - 1 }
      node = nodes.length - 1
    }
  }
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address, length] = network.split('/') as [string, string]
  const isV6 = address.includes(':')
  const bytes = isV6 ? bytesOfV6(address) : address.split('.').map(Number)
  const bits = bytes
    .flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1))
    .slice(0, Number(length))
  return isV6 || ipVersion === 4 ? bits : [...Array<number>(96).fill(0), ...bits]
}

function bytesOfV6(address: string): number[] {
  const [left, right = ''] = address.split('::') as [string, string?]
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'))
  const zeros = Array<string>(8 - words(left).length - words(right).length).fill('0')
  return [...words(left), ...zeros, ...words(right)].flatMap((word) => {
    const value = Number.parseInt(word, 16)
    return [value >> 8, value & 255]
  })
}

const TEXT = 2
const MAP = 7
const UINT32 = 6
const UINT64 = 9
const ARRAY = 11

function encode(value: MmdbValue): Buffer {
  if (typeof value === 'string') return Buffer.concat([control(TEXT, Buffer.byteLength(value)), Buffer.from(value)])
  if (typeof value === 'number') return encodeNumber(value)
  if (Array.isArray(value)) return Buffer.concat([control(ARRAY, value.length), ...value.map(encode)])
  const entries = Object.entries(value as { readonly [key: string]: MmdbValue })
  return Buffer.concat([control(MAP, entries.length), ...entries.flatMap(([key, one]) => [encode(key), encode(one)])])
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  const start = bytes.findIndex((byte) => byte !== 0)
  const used = start === -1 ? Buffer.alloc(0) : bytes.subarray(start)
  return Buffer.concat([control(used.length > 4 ? UINT64 : UINT32, used.length), used])
}

/** The control byte; types above 7 have a second one, sizes from 29 to 284 too. */
function control(type: number, size: number): Buffer {
  if (size > 284) throw new Error('only values of up to 284 bytes')
  const first = (type > 7 ? 0 : type << 5) | Math.min(size, 29)
  return Buffer.from([first, ...(type > 7 ? [type - 7] : []), ...(size >= 29 ? [size - 29] : [])])
}
