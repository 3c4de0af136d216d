import { BlockList } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { normaliseAddress } from './address-text.ts'
import { Networks } from './networks.ts'

const ipv4 = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255)).map((octets) => octets.join('.'))
// Few distinct groups, so that networks and addresses meet.
const ipv6 = fc
  .array(fc.constantFrom(0, 1, 0xfd00, 0x2001, 0x8000), { minLength: 8, maxLength: 8 })
  .map((groups) => normaliseAddress(groups.map((group) => group.toString(16)).join(':'))!)
const network = fc.oneof(
  fc.tuple(ipv4, fc.integer({ min: 0, max: 32 })),
  fc.tuple(ipv6, fc.integer({ min: 0, max: 128 })),
)
const familyOf = (address: string): 'ipv4' | 'ipv6' => (address.includes(':') ? 'ipv6' : 'ipv4')

describe('Networks', () => {
  it("it says what node's BlockList says", () => {
    fc.assert(
      fc.property(fc.array(network, { maxLength: 4 }), fc.oneof(ipv4, ipv6), (list, address) => {
        const networks = new Networks()
        const reference = new BlockList()
        for (const [base, prefix] of list) {
          // To node, ::/0 holds every IPv4 address too.
          if (familyOf(base) !== familyOf(address)) continue
          networks.add(base, prefix)
          reference.addSubnet(base, prefix, familyOf(base))
        }
        expect(networks.has(address)).toBe(reference.check(address, familyOf(address)))
      }),
      { numRuns: 2_000 },
    )
  })

  it('it holds nothing at first, and never the unknown address', () => {
    const networks = new Networks()
    expect([networks.has('10.0.0.1'), networks.has('::1')]).toEqual([false, false])
    networks.add('0.0.0.0', 0)
    networks.add('::', 0)
    expect([networks.has('10.0.0.1'), networks.has('::1'), networks.has('')]).toEqual([true, true, false])
  })
})
