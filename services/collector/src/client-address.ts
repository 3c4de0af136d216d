import { isPrivate, normaliseAddress } from './address-text.ts'
import { readForwarded } from './forwarded.ts'
import type { TrustedProxies } from './trusted-proxies.ts'

/** Headers of a request by their names in lower case, as node gives them. */
export type RequestHeaders = Readonly<Record<string, string | string[] | undefined>>

/**
 * The address of a request's client, '' = unknown (a Unix socket without a proxy). Only what a trusted proxy said counts:
 * an entry that is no address ends the walk, for what stands left of it was said by nobody we know.
 */
export type ClientAddress = (socketAddress: string | undefined, headers: RequestHeaders) => string

/**
 * Goes by the first of `headers` that names a public address; else by the first that names any. X-Forwarded-For and
 * Forwarded are lists, walked from the right as far as each speaker is trusted; any other header holds one address.
 */
export function createClientAddress(trusted: TrustedProxies, headers: readonly string[]): ClientAddress {
  const trustsNobody = trusted.hops === 0 && trusted.networks === null
  const isTrusted = createTrust(trusted)
  return (socketAddress, sent) => {
    const peer = socketAddress === undefined ? '' : (normaliseAddress(socketAddress) ?? '')
    if (trustsNobody || !isTrusted(peer, 0)) return peer
    let inside: string | null = null
    for (const name of headers) {
      const value = sent[name]
      if (typeof value !== 'string') continue
      const address = isList(name) ? walk(peer, entriesOf(name, value), trusted, isTrusted) : normaliseAddress(value)
      if (address === null || address === peer) continue
      if (!isPrivate(address)) return address
      inside ??= address
    }
    return inside ?? peer
  }
}

/** Whether an address may speak for others; `steps` = how many have spoken before it. */
type Trust = (address: string, steps: number) => boolean

function createTrust({ hops, networks }: TrustedProxies): Trust {
  if (networks === null) return (_address, steps) => steps < hops
  return (address) => networks.has(address)
}

const isList = (name: string): boolean => name === 'x-forwarded-for' || name === 'forwarded'
const entriesOf = (name: string, value: string): readonly string[] =>
  name === 'forwarded' ? (readForwarded(value) ?? []) : value.split(',')

/** `said` is what each proxy noted about who spoke to it, oldest first. */
function walk(peer: string, said: readonly string[], trusted: TrustedProxies, isTrusted: Trust): string {
  let address = peer
  let i = said.length - 1
  for (let steps = 0; i >= 0 && isTrusted(address, steps); i--, steps++) {
    const next = normaliseAddress(said[i]!)
    if (next === null) return address
    address = next
  }
  // A count of hops is exact; a list of networks may lack an inner proxy, which is no visitor.
  if (trusted.networks === null || i < 0 || !isPrivate(address)) return address
  for (; i >= 0; i--) {
    const next = normaliseAddress(said[i]!)
    if (next === null) return address
    if (!isPrivate(next)) return next
  }
  return address
}
