import { describe, expect, test } from 'vitest'
import { HITS_ENRICHED, HITS_RAW, kpOf, partitionFor, partitionOfKp } from './topics.ts'

describe('topics', () => {
  test('it keeps enriched hits longer than raw ones, and raw ones for less than 54 h', () => {
    expect(HITS_ENRICHED.retentionMs).toBeGreaterThan(HITS_RAW.retentionMs + HITS_RAW.segmentMs)
    expect(HITS_RAW.retentionMs + HITS_RAW.segmentMs).toBeLessThan(54 * 3_600_000)
  })

  test('it finds the partition as documented: sha256(site 0 identity), first 32 bits, mod n', () => {
    // sha256("blog\0" + "203.0.113.9\0agent") begins with the digits that `printf | sha256sum` prints
    expect(partitionFor('blog', '203.0.113.9\0agent', 2 ** 32)).toBe(0x8d0ec3a1)
    expect(partitionFor('blog', '203.0.113.9\0agent', 24)).toBe(0x8d0ec3a1 % 24)
  })

  test('it tells log epochs apart', () => {
    expect(kpOf(1, 3)).toBe(4099)
    expect(partitionOfKp(kpOf(7, 23))).toBe(23)
  })
})
