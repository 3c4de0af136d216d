import { createLogger, createServer } from '@millrace/server'
import { describe, expect, it, vi } from 'vitest'
import { latenessOf, nextHoldBack, paceAnswers } from './pace-answers.ts'

describe('nextHoldBack', () => {
  it.each([
    ['late, and getting later', 0, 1_300, 0, 65],
    ['late, and getting later', 100, 1_400, 1_300, 150],
    ['late, and getting later', 65, 9_000, 8_000, 450],
    ['late, and getting later', 800, 9_000, 8_000, 1_000],
    ['late, and catching up', 16, 1_300, 1_400, 16],
    ['in time', 20, 1_200, 1_100, 16],
    ['in time', 8, 0, 0, 0],
    ['in time', 0, 1_000, 0, 0],
  ])('it is, when reports are %s, after %i ms (%i ms behind, were %i)', (_, before, behindMs, wereMs, after) => {
    expect(nextHoldBack(before, behindMs, wereMs)).toBe(after)
  })

  it('it comes back to nothing', () => {
    let ms = 1_000
    for (let i = 0; i < 40; i++) ms = nextHoldBack(ms, 0, 0)
    expect(ms).toBe(0)
  })
})

describe('latenessOf', () => {
  it.each([
    ['little waits', 1_000, 0, 300, false, 300],
    ['much waits in the log', 9 << 20, 0, 4_000, true, 4_000],
    ['hits wait in the spool', 0, 7_000, 300, true, 7_000],
    ['the spool is emptied into a log that waits', 9 << 20, 100, 4_000, true, 4_000],
  ])('when %s', async (_, bytes, spoolMs, reportsMs, busy, behindMs) => {
    const late = latenessOf({
      backlog: { bytes: () => bytes },
      spool: { spoolAgeMs: () => spoolMs },
      reportsBehindMs: async () => reportsMs,
    })
    expect([late.isBusy(), await late.behindMs()]).toEqual([busy, behindMs])
  })
})

describe('paceAnswers', () => {
  it('it holds answers back while reports are late, and says so', async () => {
    const server = createServer({ host: '', port: 0, name: 'test', logger: createLogger('silent', 'test') })
    let behindMs = 1_100
    let asked = 0
    let busy = false
    const ask = async (): Promise<number> => {
      asked++
      return behindMs
    }
    const pace = paceAnswers({ isBusy: () => busy, behindMs: ask }, server)
    busy = true
    await vi.waitFor(() => expect(asked).toBeGreaterThan(9), 20_000)
    expect(pace.holdBackMs()).toBe(0)
    behindMs = 1_300
    await vi.waitFor(() => expect(pace.holdBackMs()).toBeGreaterThan(0), 20_000)
    expect(await server.registry.metrics()).toMatch(/millrace_answer_held_back_ms [1-9]/)
    // Longer each time while reports get later.
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
