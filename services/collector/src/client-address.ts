import { BlockList, isIPv4, isIPv6, SocketAddress } from 'node:net'

/** Which proxies may name the client: a number of hops, or networks; both empty = none. */
export interface TrustedProxies {
  readonly hops: number
  readonly networks: BlockList | null
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
  const networks = new BlockList()
  for (const part of text.split(',')) {
    const found = /^\s*([^\s/]+)(?:\/(\d{1,3}))?\s*$/.exec(part)
    const address = found && normaliseAddress(found[1]!)
    if (!address) throw wrong
    const family = familyOf(address)
    const widest = family === 'ipv4' ? 32 : 128
    const prefix = found[2] === undefined ? widest : Number(found[2])
    if (prefix > widest) throw wrong
    networks.addSubnet(address, prefix, family)
  }
  return { hops: 0, networks }
}

const familyOf = (address: string): 'ipv4' | 'ipv6' => (address.includes(':') ? 'ipv6' : 'ipv4')

/**
 * One spelling per address, since it is hashed: no port, brackets or zone, IPv4 inside of IPv6 as IPv4, IPv6 as RFC 5952
 * writes it. null = not an address.
 */
export function normaliseAddress(text: string): string | null {
  if (isIPv4(text)) return text
  if (text.startsWith('::ffff:') && isIPv4(text.slice(7))) return text.slice(7)
  const bare = withoutPort(text.trim())
  if (isIPv4(bare)) return bare
  const zone = bare.indexOf('%')
  const address = zone < 0 ? bare : bare.slice(0, zone)
  if (!isIPv6(address)) return null
  const canonical = new SocketAddress({ address, family: 'ipv6' }).address
  const mapped = canonical.startsWith('::ffff:') ? canonical.slice(7) : ''
  return isIPv4(mapped) ? mapped : canonical
}

/** `1.2.3.4:5`, `[::1]:5` and `[::1]` without the port and the brackets. */
function withoutPort(text: string): string {
  if (text.startsWith('[')) {
    const end = text.indexOf(']')
    return /^(:\d{1,5})?$/.test(text.slice(end + 1)) ? text.slice(1, end) : text
  }
  return /^[\d.]+:\d{1,5}$/.test(text) ? text.slice(0, text.indexOf(':')) : text
}

/**
 * The address of the client: from the socket through X-Forwarded-For, right to left, as far as each speaker is trusted.
 * An entry that is no address ends the walk, for what stands left of it was said by nobody we know. '' = unknown (a
 * Unix socket without a proxy).
 */
export function clientAddress(
  socketAddress: string | undefined,
  forwardedFor: string | undefined,
  trusted: TrustedProxies,
): string {
  const peer = socketAddress === undefined ? '' : (normaliseAddress(socketAddress) ?? '')
  if (forwardedFor === undefined || (trusted.hops === 0 && trusted.networks === null)) return peer
  return walk(peer, forwardedFor.split(','), trusted)
}

/** `said` is what each proxy noted about who spoke to it, oldest first. */
function walk(peer: string, said: readonly string[], { hops, networks }: TrustedProxies): string {
  let address = peer
  for (let i = said.length - 1, steps = 0; i >= 0; i--, steps++) {
    const trusted = networks === null ? steps < hops : address !== '' && networks.check(address, familyOf(address))
    if (!trusted) return address
    const next = normaliseAddress(said[i]!)
    if (next === null) return address
    address = next
  }
  return address
}
