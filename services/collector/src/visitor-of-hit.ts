import { KEPT_HEADERS, type WireHit } from '@millrace/shared'
import { normaliseAddress } from './address-text.ts'
import { MAX_HEADER_LENGTH, MAX_USER_AGENT_LENGTH, type Sender } from './stamp-lines.ts'

/** The headers that a hit brings of its visitor, by their names in lower case; null = it brings none. */
export function headersOfHit({ headers }: WireHit): Record<string, string> | null {
  if (headers === undefined) return null
  const found: Record<string, string> = Object.create(null)
  for (const name in headers) found[name.toLowerCase()] = headers[name]!
  return found
}

/**
 * Who the visitor of a server's hit is. Where the hit says nothing of that, the one who made the request: the server passes
 * on what its visitor sent. Where it says something, nothing is taken of the request, for that would be the server's own.
 * The address must be one (Admission sees to it).
 */
export function visitorOfHit(hit: WireHit, request: Sender): Sender {
  const { ip, user_agent: userAgent } = hit
  const headers = headersOfHit(hit)
  if (ip === undefined && userAgent === undefined && headers === null) return { ...request, trust: 'secret' }
  return {
    ip: ip === undefined ? request.ip : normaliseAddress(ip)!,
    userAgent: (userAgent ?? headers?.['user-agent'] ?? '').slice(0, MAX_USER_AGENT_LENGTH),
    headers: keptOf(headers),
    trust: 'secret',
  }
}

function keptOf(headers: Readonly<Record<string, string>> | null): Record<string, string> {
  const kept: Record<string, string> = {}
  if (headers === null) return kept
  for (const name of KEPT_HEADERS) {
    const value = headers[name]
    if (value !== undefined) kept[name] = value.slice(0, MAX_HEADER_LENGTH)
  }
  return kept
}
