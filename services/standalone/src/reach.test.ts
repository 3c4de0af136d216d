import { createLogger, createServer, type Readiness } from '@millrace/server'
import { describe, expect, it } from 'vitest'
import { AT_ONCE, answersInTime, patiently } from './reach.ts'

const silent = createLogger('silent', 'test')
const newReadiness = (): Readiness => createServer({ host: '', port: 0, name: 'test', logger: silent }).readiness

/** Fails with `problem` so many times, then answers. */
function failing(times: number, problem: Error = new Error('gone')) {
  let asked = 0
  return async (): Promise<number> => {
    asked++
    if (asked <= times) throw problem
    return asked
  }
}

describe('patiently', () => {
  it('it tries until it works, and tells why it does not yet', async () => {
    const readiness = newReadiness()
    const told: string[] = []
    const reaching = patiently({ logger: silent, readiness })('log', async () => {
      told.push(...readiness.problems())
      if (told.length === 1) throw new Error('no broker')
      return told.length
    })
    expect(await reaching).toBe(2)
    expect(told).toEqual(['log: not reached yet', 'log: no broker'])
    expect(readiness.problems()).toEqual([])
  })

  it('it throws at once what does not pass', async () => {
    const attempt = failing(1, new RangeError('wrong'))
    const reach = patiently({ logger: silent })
    await expect(reach('log', attempt, (error) => !(error instanceof RangeError))).rejects.toThrow('wrong')
    expect(await attempt()).toBe(2)
  })

  it('it gives up when its patience ends, with the last problem', async () => {
    const reach = patiently({ logger: silent, patienceMs: 300 })
    await expect(reach('log', failing(Number.POSITIVE_INFINITY))).rejects.toThrow('gone')
  })
})

describe('AT_ONCE', () => {
  it('it tries once', async () => {
    await expect(AT_ONCE('log', failing(1))).rejects.toThrow('gone')
  })
})

describe('answersInTime', () => {
  it.each([
    ['an answer', async () => 7, null],
    ['an error', failing(1), 'gone'],
    ['silence', () => new Promise(() => {}), 'does not answer'],
  ])('it makes %s %s', async (_what, ask, problem) => {
    expect(await answersInTime(ask, 20)()).toBe(problem)
  })

  it('it asks again only when the last question was answered', async () => {
    let asked = 0
    let answer = (): void => undefined
    const problemOf = answersInTime(() => {
      asked++
      return new Promise<void>((resolve) => {
        answer = resolve
      })
    }, 20)
    expect([await problemOf(), await problemOf(), asked]).toEqual(['does not answer', 'does not answer', 1])
    answer()
    await problemOf()
    const next = problemOf()
    answer()
    expect([await next, asked]).toEqual([null, 2])
  })
})
