import { BlockList, isIP } from 'node:net'

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
for (const network of RESERVED) {
  const [address, length] = network.split('/') as [string, string]
  list.addSubnet(address, Number(length), address.includes(':') ? 'ipv6' : 'ipv4')
}

/** First parts of addresses that may be reserved: for all others the list, which is slow, need not be asked. */
const MAYBE_RESERVED = /^(?:0|10|100|127|169|172|192|198|203|22[4-9]|2[34]\d|25[0-5])\.|^(?:::|100:|2001:|f[c-f])/i

/** Whether an address is of a private, local or documentation network. */
export function isReserved(ip: string): boolean {
  return MAYBE_RESERVED.test(ip) && list.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4')
}
