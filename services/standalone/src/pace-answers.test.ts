import { createLogger, createServer } from '@millrace/server'
import { describe, expect, it, vi } from 'vitest'
import { nextHoldBack, paceAnswers } from './pace-answers.ts'

describe('nextHoldBack', () => {
  it.each([
    ['late, and getting later', 0, 1_300, 0, 8],
    ['late, and getting later', 8, 1_400, 1_300, 16],
    ['late, and getting later', 400, 9_000, 8_000, 500],
    ['late, and catching up', 16, 1_300, 1_400, 16],
    ['in time', 16, 1_200, 1_100, 13],
    ['in time', 8, 0, 0, 0],
    ['in time', 0, 1_000, 0, 0],
  ])('it is, when reports are %s, after %i ms (%i ms behind, were %i)', (_, before, behindMs, wereMs, after) => {
    expect(nextHoldBack(before, behindMs, wereMs)).toBe(after)
  })

  it('it comes back to nothing', () => {
    let ms = 500
    for (let i = 0; i < 40; i++) ms = nextHoldBack(ms, 0, 0)
    expect(ms).toBe(0)
  })
})

describe('paceAnswers', () => {
  it('it holds answers back while reports are late, and says so', async () => {
    const server = createServer({ host: '', port: 0, name: 'test', logger: createLogger('silent', 'test') })
    let behindMs = 1_100
    let asked = 0
    let busy = false
    const completeUntil = async (): Promise<number> => {
      asked++
      return 1_000_000 - behindMs
    }
    const pace = paceAnswers({ isBusy: () => busy, completeUntil, clock: () => 1_000_000 }, server)
    busy = true
    await vi.waitFor(() => expect(asked).toBeGreaterThan(9), 20_000)
    expect(pace.holdBackMs()).toBe(0)
    behindMs = 1_300
    await vi.waitFor(() => expect(pace.holdBackMs()).toBeGreaterThan(0), 20_000)
    expect(await server.registry.metrics()).toMatch(/millrace_answer_held_back_ms [1-9]/)
    // Twice as long each time while reports get later.
    const later = setInterval(() => {
      behindMs += 100
    }, 50)
    await vi.waitFor(() => expect(pace.holdBackMs()).toBeGreaterThan(30), 30_000)
    clearInterval(later)
    busy = false
    const held: number[] = []
    while (pace.holdBackMs() > 0) {
      if (held.at(-1) !== pace.holdBackMs()) held.push(pace.holdBackMs())
      await new Promise((done) => setTimeout(done, 10))
    }
    // It goes at once, not bit by bit.
    expect(held.length).toBeLessThan(3)
    await vi.waitFor(() => expect(pace.holdBackMs()).toBe(0), 20_000)
    const before = asked
    await new Promise((done) => setTimeout(done, 600))
    expect(asked).toBe(before)
    pace.close()
    await server.close()
  })
})
