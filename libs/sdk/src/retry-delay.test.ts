import { expect, test } from 'vitest'
import { readRetryAfter, retryDelay } from './retry-delay.ts'

const BACKOFF = { minMs: 500, maxMs: 30_000 }

test.each([
  [1, undefined, 0, 0],
  [1, undefined, 1, 500],
  [2, undefined, 1, 1_000],
  [3, undefined, 0.5, 1_000],
  [7, undefined, 1, 30_000],
  [10_000, undefined, 1, 30_000],
  [1, 5_000, 0, 5_000],
  [4, 5_000, 1, 9_000],
])('failure %d with Retry-After %j and chance %d waits %d ms', (failures, retryAfterMs, random, delayMs) => {
  expect(retryDelay(failures, BACKOFF, retryAfterMs, random)).toBe(delayMs)
})

const NOW = Date.parse('2026-11-22T10:00:00Z')
test.each([
  [null, null, undefined],
  ['0', null, 0],
  ['120', null, 120_000],
  [' 2 ', null, 2_000],
  ['9999999', null, 3_600_000],
  ['soon', null, undefined],
  ['-5', null, undefined],
  ['Sun, 22 Nov 2026 10:00:30 GMT', null, 30_000],
  ['Sun, 22 Nov 2026 09:00:00 GMT', null, 0],
  ['Fri, 01 Jan 2100 00:00:00 GMT', null, 3_600_000],
  // The service's clock is an hour ahead of ours.
  ['Sun, 22 Nov 2026 11:00:30 GMT', 'Sun, 22 Nov 2026 11:00:00 GMT', 30_000],
  ['Sun, 22 Nov 2026 10:00:30 GMT', 'nonsense', 30_000],
])('Retry-After %j answered at %j is %j ms', (value, date, ms) => {
  expect(readRetryAfter(value, date, NOW)).toBe(ms)
})
