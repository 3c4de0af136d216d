import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Hash64, NIL_UUID, NO_HASH, Uuid } from './ids.ts'

const hash64 = fc.stringMatching(/^[0-9a-f]{16}$/)

describe('Hash64', () => {
  it('is its digits', () => {
    fc.assert(fc.property(hash64, (hex) => void expect(`${Hash64.of(hex)}`).toBe(hex)))
    expect(`${NO_HASH}`).toBe('0000000000000000')
    expect(JSON.stringify([Hash64.of('ffffffff00000001')])).toBe('["ffffffff00000001"]')
  })

  it('equals those with the same digits only', () => {
    fc.assert(fc.property(hash64, hash64, (a, b) => void expect(Hash64.of(a).equals(Hash64.of(b))).toBe(a === b)))
    expect(Hash64.of('ffffffff00000001').equals(Hash64.of('ffffffff00000001'))).toBe(true)
    expect(Hash64.of('ffffffff00000001').equals(Hash64.of('fffffffe00000001'))).toBe(false)
  })

  it.each(['', 'ffffffff0000000', 'FFFFFFFF00000001', 'g'.repeat(16)])('is not made of %j', (text) => {
    expect(() => Hash64.of(text)).toThrow(RangeError)
  })
})

describe('Uuid', () => {
  it('is its digits', () => {
    fc.assert(fc.property(fc.uuid(), (text) => void expect(`${Uuid.of(text)}`).toBe(text)))
    expect(`${NIL_UUID}`).toBe('00000000-0000-0000-0000-000000000000')
  })

  it('equals another until something else is copied into it', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uuid(), (a, b) => {
        const id = Uuid.of(a)
        expect(id.equals(Uuid.of(b))).toBe(a === b)
        id.copy(Uuid.of(b))
        expect(id.equals(Uuid.of(b))).toBe(true)
      }),
    )
  })

  it.each(['', '01932c07-0000-7000-8000-00000000000A', '01932c0700007000800000000000000a'])(
    'is not made of %j',
    (text) => {
      expect(() => Uuid.of(text)).toThrow(RangeError)
    },
  )
})
