import { isIPv4, isIPv6 } from 'node:net'

/**
 * One spelling per address, since it is hashed: no port, brackets or zone, IPv4 inside of IPv6 as IPv4, IPv6 as RFC 5952
 * writes it. null = not an address.
 */
export function normaliseAddress(text: string): string | null {
  if (isIPv4(text) || FULL_IPV6.test(text)) return text
  if (text.startsWith('::ffff:') && isIPv4(text.slice(7))) return text.slice(7)
  const bare = withoutPort(text.trim())
  if (isIPv4(bare)) return bare
  const zone = bare.indexOf('%')
  const address = zone < 0 ? bare : bare.slice(0, zone)
  return isIPv6(address) ? writeGroups(groupsOf(address)) : null
}

/** As most clients' addresses are, and as they are to be: eight groups, no two zeros that could be left out. */
const FULL_IPV6 = /^(?:(?:[1-9a-f][\da-f]{0,3}|0(?!:0(?::|$))):){7}(?:0|[1-9a-f][\da-f]{0,3})$/

/** The eight groups of an IPv6 address that is one. */
export function groupsOf(address: string): number[] {
  const groups: number[] = []
  let gap = -1
  let group = 0
  let digits = 0
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code === COLON) {
      if (digits > 0) groups.push(group)
      if (address.charCodeAt(i + 1) === COLON) {
        gap = groups.length
        i++
      }
      group = 0
      digits = 0
    } else if (code === DOT) {
      const quad = ipv4Number(address.slice(i - digits))
      groups.push(quad >>> 16, quad & 0xffff)
      digits = 0
      break
    } else {
      group = group * 16 + (code <= NINE ? code - ZERO : (code | 32) - A + 10)
      digits++
    }
  }
  if (digits > 0) groups.push(group)
  if (gap >= 0) groups.splice(gap, 0, ...ZEROS.slice(groups.length))
  return groups
}
const [COLON, DOT, ZERO, NINE, A] = [':', '.', '0', '9', 'a'].map((letter) => letter.charCodeAt(0)) as [
  number,
  number,
  number,
  number,
  number,
]
const ZEROS: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0]

/** An IPv4 address as a number below 2^32. */
export function ipv4Number(address: string): number {
  let value = 0
  let octet = 0
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code !== DOT) octet = octet * 10 + code - ZERO
    else {
      value = value * 256 + octet
      octet = 0
    }
  }
  return value * 256 + octet
}

/** RFC 5952: lower case, no leading zeros, the first of the longest runs of zeros left out. Mapped IPv4 as IPv4. */
function writeGroups(groups: readonly number[]): string {
  let start = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (groups[end] === 0) end++
    if (end - i > length) {
      start = i
      length = end - i
    }
    if (end > i) i = end
  }
  if (start === 0 && length === 5 && groups[5] === 0xffff) {
    return `${groups[6]! >> 8}.${groups[6]! & 255}.${groups[7]! >> 8}.${groups[7]! & 255}`
  }
  let text = ''
  for (let i = 0; i < 8; i++) {
    if (i === start) {
      text += i === 0 ? '::' : ':'
      i += length - 1
    } else text += i === 7 ? groups[i]!.toString(16) : `${groups[i]!.toString(16)}:`
  }
  return text
}

/** `1.2.3.4:5`, `[::1]:5` and `[::1]` without the port and the brackets. A port may be obfuscated (RFC 7239, section 6.3). */
function withoutPort(text: string): string {
  if (text.startsWith('[')) {
    const end = text.indexOf(']')
    return PORT.test(text.slice(end + 1)) ? text.slice(1, end) : text
  }
  const colon = text.indexOf(':')
  return colon > 0 && /^[\d.]+$/.test(text.slice(0, colon)) && PORT.test(text.slice(colon))
    ? text.slice(0, colon)
    : text
}
const PORT = /^(:(\d{1,5}|_[\w.-]+))?$/

export { isPrivate } from '@millrace/shared'

/** Who is counted as one by a limit: an IPv4 address, or the /64 network of an IPv6 one, of which every client has a whole. */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [a, b, c, d] = groupsOf(address)
  return `${a!.toString(16)}:${b!.toString(16)}:${c!.toString(16)}:${d!.toString(16)}`
}
