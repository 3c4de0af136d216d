import { BlockList, isIPv4 } from 'node:net'

/** Networks of nobody in particular (IANA special-purpose address registries): no place is right for them. */
const RESERVED = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/3',
  '::/127',
  '100::/64',
  '2001:db8::/32',
  'fc00::/7',
  'fe80::/10',
  'ff00::/8',
]

const list = new BlockList()
/** First and last address of those of IPv4, as numbers. */
const ipv4: [first: number, last: number][] = []
for (const network of RESERVED) {
  const [address, length] = network.split('/') as [string, string]
  list.addSubnet(address, Number(length), address.includes(':') ? 'ipv6' : 'ipv4')
  if (isIPv4(address)) ipv4.push([numberOf(address), numberOf(address) + 2 ** (32 - Number(length)) - 1])
}

/** First parts of addresses that may be reserved: for all others nothing needs to be compared. */
const MAYBE_RESERVED = /^(?:0|10|100|127|169|172|192|198|203|22[4-9]|2[34]\d|25[0-5])\.|^(?:::|100:|2001:|f[c-f])/i

/** Whether an address is of a private, local or documentation network. */
export function isReserved(ip: string): boolean {
  if (!MAYBE_RESERVED.test(ip)) return false
  if (!isIPv4(ip)) return list.check(ip, 'ipv6')
  const address = numberOf(ip)
  for (const [first, last] of ipv4) if (address >= first && address <= last) return true
  return false
}

/** Of an IPv4 address; the list makes an object of each that it is asked for, which takes longer. */
function numberOf(ip: string): number {
  let number = 0
  let part = 0
  for (let at = 0; at < ip.length; at++) {
    const code = ip.charCodeAt(at)
    if (code === 46) {
      number = number * 256 + part
      part = 0
    } else part = part * 10 + code - 48
  }
  return number * 256 + part
}
