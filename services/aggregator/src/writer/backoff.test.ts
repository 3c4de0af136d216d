import { expect, it } from 'vitest'
import { backoffMs } from './backoff.ts'

it.each([
  [0, 0, 50],
  [0, 1, 100],
  [1, 1, 200],
  [3, 0, 400],
  [20, 1, 5000],
  [5000, 1, 5000],
])('waits after %i tries with luck %d: %i ms', (tries, random, expected) => {
  expect(backoffMs(tries, { firstMs: 100, mostMs: 5000 }, random)).toBe(expected)
})
