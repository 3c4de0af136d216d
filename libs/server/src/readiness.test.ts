import { describe, expect, it } from 'vitest'
import { Readiness } from './readiness.ts'

describe('Readiness', () => {
  it('it is ready when no part has a problem', () => {
    const readiness = new Readiness()
    expect(readiness.ready).toBe(true)
    readiness.set('log', 'starting')
    readiness.set('store', 'starting')
    readiness.set('log', null)
    expect(readiness.problems()).toEqual(['store: starting'])
    expect(readiness.ready).toBe(false)
    readiness.set('store', null)
    expect(readiness.ready).toBe(true)
  })
})
