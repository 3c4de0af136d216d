import { afterEach, describe, expect, test } from 'vitest'
import { MillraceApiError } from './api-error.ts'
import { createReader, type Reader } from './create-reader.ts'
import { type Got, type Reply, startStandIn } from './service.fixture.ts'

const ANSWER = { query: {}, source: 'hits', rows: [{ visitors: 3 }], totals: { visitors: 3 }, row_count: 1 }
const opened: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

async function readerOf(reply: (got: Got, n: number) => Reply | Promise<Reply>, timeoutMs?: number) {
  const service = await startStandIn(reply)
  opened.push(service)
  return { service, ...createReader({ url: service.url, key: 'mr_a_b', site: 'blog', timeoutMs }) }
}
const ask = ({ query }: Pick<Reader, 'query'>) => query({ period: '7d', metrics: ['visitors'] })
const failure = (promise: Promise<unknown>): Promise<MillraceApiError> =>
  promise.then(
    () => Promise.reject(new Error('it did not fail')),
    (error) => error,
  )

describe('a question', () => {
  test('is asked with the key and for the site of the client, unless it says another', async () => {
    const { service, query, reports } = await readerOf(() => ({ status: 200, body: ANSWER }))
    expect(await ask({ query })).toEqual(ANSWER)
    await query({ site: 'shop', period: { from: 1, to: 2 }, metrics: ['visitors'], dimensions: ['path'] })
    await reports.eventProperty('plan', { period: 'today', limit: 5 })
    await reports.bots({ metrics: ['sessions'] })
    expect(service.got.map(({ path }) => path)).toEqual(Array(4).fill('/v1/query'))
    expect(service.got[0]!.headers.authorization).toBe('Bearer mr_a_b')
    expect(service.got.map(({ body }) => body)).toEqual([
      { site: 'blog', period: '7d', metrics: ['visitors'] },
      { site: 'shop', period: { from: 1, to: 2 }, metrics: ['visitors'], dimensions: ['path'] },
      { site: 'blog', period: 'today', limit: 5, metrics: ['visitors', 'events'], dimensions: ['props.plan'] },
      { site: 'blog', period: '7d', metrics: ['sessions'], dimensions: ['bot_reason'], include_bots: true },
    ])
  })

  test.each<[string, Reply, object]>([
    [
      'a problem',
      {
        status: 400,
        body: { type: 't', title: 'T', status: 400, code: 'query_invalid', detail: 'Wrong.', errors: [] },
      },
      { status: 400, code: 'query_invalid', message: 'Wrong.', problem: { title: 'T', errors: [] } },
    ],
    [
      'that it cannot now',
      { status: 503, body: { code: 'store_unavailable' }, headers: { 'retry-after': '5' } },
      { status: 503, code: 'store_unavailable', retryAfterMs: 5_000 },
    ],
    ['a page of a proxy', { status: 502, body: '<html>' }, { status: 502, code: 'http_502', problem: null }],
    ['200 with a page', { status: 200, body: '<html>' }, { status: 200, code: 'http_200', problem: null }],
    ['an address', { status: 302, body: '', headers: { location: '/' } }, { status: 302, code: 'http_302' }],
  ])('that is answered with %s is rejected with it', async (_, reply, facts) => {
    const error = await failure(ask(await readerOf(() => reply)))
    expect(error).toBeInstanceOf(MillraceApiError)
    expect(error).toMatchObject({ name: 'MillraceApiError', ...facts })
  })

  test('without an answer is rejected, and says whether time ran out', async () => {
    const cut = await readerOf(() => {
      throw new Error('cut')
    })
    expect(await failure(ask(cut))).toMatchObject({
      status: 0,
      code: 'network',
      problem: null,
      cause: expect.anything(),
    })
    const silent = await readerOf(() => new Promise(() => {}), 30)
    expect(await failure(ask(silent))).toMatchObject({ status: 0, code: 'timeout' })
  })

  test('can be taken back', async () => {
    const { query } = await readerOf(() => new Promise(() => {}))
    const reason = new Error('no longer of interest')
    for (const before of [true, false]) {
      const abort = new AbortController()
      if (before) abort.abort(reason)
      const asked = query({ period: '7d', metrics: ['visitors'] }, { signal: abort.signal })
      abort.abort(reason)
      expect(await failure(asked)).toBe(reason)
    }
  })
})
