import { createLogger, createServer } from '@millrace/server'
import { describe, expect, it, vi } from 'vitest'
import { nextHoldBack, paceAnswers } from './pace-answers.ts'

describe('nextHoldBack', () => {
  it.each([
    [0, true, 4],
    [4, true, 6],
    [100, true, 150],
    [450, true, 500],
    [500, true, 500],
    [500, false, 400],
    [10, false, 8],
    [4, false, 0],
    [0, false, 0],
  ])('it follows %i ms, late: %s, with %i', (before, isLate, after) => {
    expect(nextHoldBack(before, isLate)).toBe(after)
  })

  it('it comes back to nothing', () => {
    let ms = 500
    for (let i = 0; i < 40; i++) ms = nextHoldBack(ms, false)
    expect(ms).toBe(0)
  })
})

describe('paceAnswers', () => {
  it('it holds answers back while reports are late, and says so', async () => {
    const server = createServer({ host: '', port: 0, name: 'test', logger: createLogger('silent', 'test') })
    let behindMs = 2_400
    let asked = 0
    let busy = false
    const completeUntil = async (): Promise<number> => {
      asked++
      return 1_000_000 - behindMs
    }
    const pace = paceAnswers({ isBusy: () => busy, completeUntil, clock: () => 1_000_000 }, server)
    busy = true
    await vi.waitFor(() => expect(asked).toBeGreaterThan(1), 20_000)
    expect(pace.holdBackMs()).toBe(0)
    behindMs = 2_600
    await vi.waitFor(() => expect(pace.holdBackMs()).toBeGreaterThan(0), 20_000)
    expect(await server.registry.metrics()).toMatch(/millrace_answer_held_back_ms [1-9]/)
    busy = false
    await vi.waitFor(() => expect(pace.holdBackMs()).toBe(0), 20_000)
    const before = asked
    await new Promise((done) => setTimeout(done, 600))
    expect(asked).toBe(before)
    pace.close()
    await server.close()
  })
})
