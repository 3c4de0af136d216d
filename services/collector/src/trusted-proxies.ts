import { normaliseAddress } from './address-text.ts'
import { Networks } from './networks.ts'

/** Which proxies may name the client: a number of hops, or networks; both empty = none. */
export interface TrustedProxies {
  readonly hops: number
  readonly networks: Networks | null
}

export const NO_TRUSTED_PROXIES: TrustedProxies = { hops: 0, networks: null }

/** More proxies than this in a row are a mistake. */
const MAX_HOPS = 16

/**
 * Reads a hop count (`1`) or a list of addresses and networks (`10.0.0.0/8, ::1`).
 * @throws Error with a text that does not repeat the value
 */
export function parseTrustedProxies(text: string): TrustedProxies {
  const wrong = new Error(`must be a hop count up to ${MAX_HOPS}, or a list of networks such as 10.0.0.0/8, fd00::/8`)
  if (/^\s*\d+\s*$/.test(text)) {
    const hops = Number(text)
    if (hops > MAX_HOPS) throw wrong
    return { hops, networks: null }
  }
  const networks = new Networks()
  for (const part of text.split(',')) {
    const found = /^\s*([^\s/]+)(?:\/(\d{1,3}))?\s*$/.exec(part)
    const address = found && normaliseAddress(found[1]!)
    if (!address) throw wrong
    const widest = address.includes(':') ? 128 : 32
    const prefix = found[2] === undefined ? widest : Number(found[2])
    if (prefix > widest) throw wrong
    networks.add(address, prefix)
  }
  return { hops: 0, networks }
}

/**
 * Headers that no proxy is known to overwrite unless it is told to: only what every proxy appends to counts by default,
 * because a client can send any of the others itself.
 */
export const DEFAULT_ADDRESS_HEADERS: readonly string[] = ['x-forwarded-for', 'forwarded']

/**
 * Reads a list of header names, in the order in which they are asked.
 * @throws Error with a text that does not repeat the value
 */
export function parseAddressHeaders(text: string): readonly string[] {
  const names = text.split(',').map((name) => name.trim().toLowerCase())
  if (names.length > 8 || names.some((name) => !/^[a-z0-9][a-z0-9-]{0,63}$/.test(name))) {
    throw new Error('must be names of headers such as x-forwarded-for, or cf-connecting-ip')
  }
  return names
}
