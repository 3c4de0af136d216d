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

  it('it asks a watched part when it is refreshed', async () => {
    const readiness = new Readiness()
    const answers: (() => string | null)[] = [
      () => 'a hole',
      () => {
        throw new Error('gone')
      },
      () => null,
    ]
    readiness.watch('enricher', async () => answers.shift()!())
    for (const problems of [['enricher: a hole'], ['enricher: gone'], []]) {
      await readiness.refresh()
      expect(readiness.problems()).toEqual(problems)
    }
  })
})
