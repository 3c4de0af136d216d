import { StoreRefused } from '@millrace/store'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asProblem } from './ask-store.ts'
import { type FilledStore, openFilledStore } from './filled-store.fixture.ts'
import { withinLimits } from './limits.ts'

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([])
})
afterAll(() => filled?.close())

const facts = { answered: () => undefined, storeFailed: () => undefined }
const failure = (asked: Promise<unknown>): Promise<unknown> => asked.catch((error: unknown) => error)

test.each<[string, Record<string, number>, string]>([
  ['time', { max_execution_time: 1 }, 'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1'],
  ['memory', { max_memory_usage: 10_000_000 }, 'SELECT uniqExact(number) FROM numbers(10000000)'],
])('a query that needs too much %s is ended and called too large', async (_, settings, sql) => {
  const error = await failure(withinLimits(filled.store).query(sql, { settings }))
  expect(error).toBeInstanceOf(StoreRefused)
  expect(asProblem(error, facts)).toMatchObject({ code: 'query_too_large' })
})

test('a query that nobody waits for any more is ended', async () => {
  const gone = new AbortController()
  const asked = withinLimits(filled.store, gone.signal).query(
    'SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1',
  )
  const ended = failure(asked)
  setImmediate(() => gone.abort(new Error('gone')))
  expect(await ended).toMatchObject({ message: 'gone' })
})

test('limits hold where a query says nothing', async () => {
  const sql = "SELECT getSetting('max_execution_time') AS seconds, getSetting('max_memory_usage') AS bytes"
  expect(await withinLimits(filled.store).query(sql)).toEqual([{ seconds: 30, bytes: 2_000_000_000 }])
})
