import { describe, expect, it } from 'vitest'
import { ANY_HEAD } from './chain.ts'
import {
  decodePosition,
  encodeClaim,
  encodeDone,
  encodePlan,
  logComment,
  MAX_METADATA_CHARS,
  type Plan,
} from './plan.ts'

const LARGEST = Number.MAX_SAFE_INTEGER
const PLAN: Plan = {
  before: { next: 12, head: 11, srcMax: 99 },
  last: 15,
  flush: '0123456789abcdef',
  attempt: 2,
  deadline: 1_795_219_200_123,
}

describe('encodePlan', () => {
  it('comes back as it was', () => {
    expect(decodePosition(encodePlan(PLAN))).toEqual({ done: PLAN.before, plan: PLAN, claimedUntil: null })
  })
  it('commits the first offset of the plan: what is done lies below', () => {
    expect(encodePlan(PLAN).offset).toBe(12)
  })
  it('fits into the metadata of a position with the largest numbers', () => {
    const before = { next: LARGEST, head: LARGEST, srcMax: LARGEST }
    const plan = { ...PLAN, before, last: LARGEST, attempt: LARGEST, deadline: LARGEST }
    expect(encodePlan(plan).metadata.length).toBeLessThan(MAX_METADATA_CHARS / 10)
  })
})

describe('encodeDone', () => {
  it.each([{ next: 0, head: -1, srcMax: -1 }, PLAN.before, { next: 9, head: ANY_HEAD, srcMax: 4 }])(
    'comes back without a plan: %o',
    (done) => {
      expect(decodePosition(encodeDone(done))).toEqual({ done, plan: null, claimedUntil: null })
    },
  )
})

describe('encodeClaim', () => {
  it('says that nothing is known, and until when inserts of its owner may begin', () => {
    const done = { next: 4, head: ANY_HEAD, srcMax: -1 }
    expect(decodePosition(encodeClaim(4, 77))).toEqual({ done, plan: null, claimedUntil: 77 })
  })
})

describe('decodePosition', () => {
  it.each([
    ['no metadata', ''],
    ['metadata of somebody else', 'connect-3'],
    ['another version', '{"v":2,"head":1,"src_max":1}'],
    ['no head', '{"v":1,"src_max":1}'],
    [
      'a plan that ends before it begins',
      '{"v":1,"head":1,"src_max":1,"flush":"a","attempt":1,"deadline":1,"last":11}',
    ],
    ['a plan without an attempt', '{"v":1,"head":1,"src_max":1,"flush":"a","deadline":1,"last":15}'],
    ['text where a number belongs', '{"v":1,"head":"1","src_max":1}'],
  ])('refuses %s', (_title, metadata) => {
    expect(() => decodePosition({ offset: 12, metadata })).toThrow(/committed position/)
  })
})

describe('logComment', () => {
  it('names flush, attempt, table and deadline', () => {
    expect(logComment('0a', 3, 'hits_in', 17)).toBe('flush=0a attempt=3 table=hits_in deadline=17')
  })
})
