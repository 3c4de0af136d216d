import { expect, test } from 'vitest'
import { waitUntil } from './wait-until.ts'

test('the first truthy answer is returned; false and errors mean not yet', async () => {
  const answers: (() => unknown)[] = [() => false, () => Promise.reject(new Error('no')), () => Promise.resolve(7)]
  expect(await waitUntil('it is there', () => answers.shift()!())).toBe(7)
})

test('what does not come is named, with the last answer', async () => {
  await expect(waitUntil('it is there', () => 0, 5)).rejects.toThrow('waited 5 ms until it is there; last: 0')
})
