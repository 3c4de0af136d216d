import type { TrustProxy } from './request.ts'

/**
 * The client's address: of the connection, or as the trusted proxies name it (see TrustProxy). An entry that is no address
 * ends the walk through X-Forwarded-For: what stands left of it was said by nobody we know.
 */
export function addressOf(
  peer: string | undefined,
  header: (name: string) => string | undefined,
  trust: TrustProxy,
): string | undefined {
  if (typeof trust === 'string') {
    // A header that came more than once was joined; the last entry is the proxy's own.
    return readAddress(header(trust.toLowerCase())?.split(',').at(-1))
  }
  const said = header('x-forwarded-for')?.split(',') ?? []
  let address = readAddress(peer)
  for (let i = said.length - 1, hops = trust; i >= 0 && hops > 0; i--, hops--) {
    const next = readAddress(said[i])
    if (next === undefined) break
    address = next
  }
  return address
}

/** An address without port, brackets and zone; undefined if it is none. Spelling is unified by the service. */
function readAddress(text: string | undefined): string | undefined {
  const bare = text
    ?.trim()
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/^([\d.]+):\d+$/, '$1')
    .replace(/%.*$/, '')
  if (bare === undefined || bare.length > 45) return undefined
  try {
    // URLs know addresses: those of IPv6 in brackets, those of IPv4 spelled as they are.
    const { hostname } = new URL(`http://${bare.includes(':') ? `[${bare}]` : bare}`)
    return /^\[.*\]$/.test(hostname) || (/^[\d.]+$/.test(bare) && hostname === bare) ? bare : undefined
  } catch {
    return undefined
  }
}
