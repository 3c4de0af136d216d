import { get, type IncomingMessage } from 'node:http'
import { createLogger, createServer, type Server } from '@millrace/server'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerJson, answerReport } from './answer-report.ts'
import type { LargeReport, ReportRow } from './report.ts'

const ROWS = 100_000
/** Far more than all buffers between a writer and a reader who does not read: 100 MB in all. */
const TITLE = 'x'.repeat(1_000)

const BODIES: readonly object[] = [
  {},
  { rows: [] },
  { query: { site: 'blog', 'a"b': [1, 2] }, none: null, missing: undefined, text: 'x"y', n: 0, flag: false },
  { rows: [{ path: '/"' }, {}, null, 3], totals: {}, next: [{ path: '/' }] },
  { rows: Array.from({ length: 3_000 }, (_, n) => ({ n, path: `/${n}`, list: [n, null] })), row_count: 3_000 },
]

/** A report that knows how many of its rows were made, and when nobody will ask for more. */
function countedReport() {
  let end = (): void => undefined
  const made = { rows: 0, ended: new Promise<void>((resolve) => (end = resolve)) }
  function* rows(): Generator<ReportRow> {
    try {
      for (let n = 0; n < ROWS; n++) yield { title: TITLE, page_views: ++made.rows }
    } finally {
      end()
    }
  }
  const report: LargeReport = {
    query: { dimensions: ['title'], metrics: ['page_views'] },
    source: 'hits',
    rows: { length: ROWS, [Symbol.iterator]: rows },
    totals: { page_views: ROWS },
    row_count: ROWS,
  }
  return { made, report }
}

let server: Server
let url: string
let counted = countedReport()
beforeAll(async () => {
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('fatal', 'test') })
  server.app.get('/report', (request, reply) => {
    counted = countedReport()
    return answerReport(counted.report, '2026-11-02T10:00:01.120Z', request, reply)
  })
  server.app.get('/json', (request, reply) => answerJson(BODIES[Number((request.query as { n: string }).n)]!, reply))
  url = await server.listen()
})
afterAll(() => server?.close())

const ask = (accept: string): Promise<IncomingMessage> =>
  new Promise((resolve, reject) =>
    get(`${url}/report`, { headers: { accept }, agent: false }, resolve).on('error', reject),
  )
const firstBytes = (answer: IncomingMessage): Promise<Buffer> =>
  new Promise((resolve) => {
    answer.once('data', (bytes: Buffer) => {
      answer.pause()
      resolve(bytes)
    })
  })

describe.each(['application/json', 'text/csv'])('a large report as %s', (accept) => {
  test('is made while it is read, and no further once the client has gone', async () => {
    const answer = await ask(accept)
    expect(answer.statusCode).toBe(200)
    expect((await firstBytes(answer)).length).toBeGreaterThan(0)
    // The reader has stopped: the writer goes on for as long as the buffers in between take it.
    expect(counted.made.rows).toBeLessThan(ROWS / 2)
    answer.destroy()
    await counted.made.ended
    expect(counted.made.rows).toBeLessThan(ROWS / 2)
  })

  test('comes whole to who reads on', async () => {
    const answer = await ask(accept)
    let [bytes, last] = [0, Buffer.alloc(0)] as [number, Buffer]
    for await (const chunk of answer) {
      bytes += chunk.length
      last = Buffer.concat([last, chunk]).subarray(-100)
    }
    await counted.made.ended
    expect(counted.made.rows).toBe(ROWS)
    expect(bytes).toBeGreaterThan(ROWS * TITLE.length)
    const end = accept === 'text/csv' ? `x,${ROWS}\r\n` : '"complete_until":"2026-11-02T10:00:01.120Z"}'
    expect(last.toString().endsWith(end)).toBe(true)
  })
})

test.each(BODIES.map((body, n) => [n, body]))('object %i is sent as JSON.stringify writes it', async (n, body) => {
  const answer = await fetch(`${url}/json?n=${n}`)
  expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8')
  expect(await answer.text()).toBe(JSON.stringify(body))
})
