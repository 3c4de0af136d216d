import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { parseAnswer } from './connection.ts'
import { LOAD_DEFAULTS, LoadGenerator, type LoadOptions } from './generator.ts'
import { hitIdOf, numberOfHitId, scramble, unscramble } from './hit-ids.ts'
import { JournalWriter, readJournal } from './journal.ts'
import { Latencies } from './latencies.ts'
import { maxRequestBytes, RequestMaker } from './requests.ts'
import { spawnLoad } from './spawn.ts'

describe('hit ids', () => {
  test('the number of a hit can be read back, and every number has an id of its own', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 32 - 1), fc.nat(2 ** 32 - 1), (seed, n) => {
        expect(unscramble(scramble(n))).toBe(n)
        expect(hitIdOf(seed, n)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
        expect(numberOfHitId(seed, hitIdOf(seed, n))).toBe(n)
      }),
    )
  })

  test('an id of another run has no number', () => {
    expect(numberOfHitId(1, hitIdOf(2, 5))).toBe(-1)
  })
})

describe('latencies', () => {
  test('quantiles are right to 2 %', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 100_000_000 }), { minLength: 1 }),
        fc.double({ min: 0.01, max: 1, noNaN: true }),
        (values, q) => {
          const latencies = new Latencies()
          for (const value of values) latencies.add(value)
          const exact = values.toSorted((a, b) => a - b)[Math.ceil(q * values.length) - 1]!
          expect(latencies.quantileUs(q)).toBeGreaterThanOrEqual(exact)
          expect(latencies.quantileUs(q)).toBeLessThanOrEqual(exact * 1.02)
        },
      ),
    )
  })
})

describe('parseAnswer', () => {
  const text = 'HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\nContent-Length: 2\r\n\r\n{}'
  test('status, Retry-After and body', () => {
    expect(parseAnswer(Buffer.from(text))).toEqual({ status: 503, retryAfter: 2, body: '{}' })
  })
  test('no answer before it is complete', () => {
    for (let end = 0; end < text.length; end++) expect(parseAnswer(Buffer.from(text.slice(0, end)))).toBeUndefined()
  })
})

describe('requests', () => {
  const mix = { seed: 3, host: '127.0.0.1:1', visitors: 500, sites: ['shop', 'blog'], delayed: 0.5 }
  test.each([1, 10, 100])('a request of %i hits is well-formed HTTP and JSON, below 64 KB', (count) => {
    const maker = new RequestMaker(mix)
    const target = Buffer.alloc(maxRequestBytes(count))
    const now = Date.UTC(2026, 10, 21)
    let first = 0
    for (let i = 0; i < 200; i++) {
      const text = target.toString('latin1', 0, maker.write(target, first, count, now))
      const [head, body] = text.split('\r\n\r\n') as [string, string]
      expect(Number(/Content-Length: (\d+)/.exec(head)?.[1])).toBe(body.length)
      expect(body.length).toBeLessThan(64 * 1024)
      expect(head).toMatch(/X-Forwarded-For: 1\d\d\.[12]\d\d\.[12]\d\d\.[12]\d\d/)
      const { hits, sent_at } = JSON.parse(body)
      expect(sent_at).toBe(now)
      expect(hits.map((hit: { hit_id: string }) => numberOfHitId(3, hit.hit_id))).toEqual(
        Array.from({ length: count }, (_, n) => first + n),
      )
      for (const hit of hits) {
        expect(now - hit.created_at).toBeLessThanOrEqual(3_600_100)
        if (hit.type === 'engagement') expect(numberOfHitId(3, hit.page_id)).toBeLessThan(first + count)
        if (hit.type === 'page_view') expect(hit.url).toMatch(/^https:\/\/www\.(shop|blog)\.example\/\w+\/\d{5}/)
      }
      first += count
    }
  })
})

describe('a run against a server', () => {
  let server: Server
  let folder: string
  let seen: string[]
  let answer: (ids: string[]) => { status: number; body: string; drop?: boolean }
  const options = (): LoadOptions => ({
    ...LOAD_DEFAULTS,
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    journal: join(folder, 'journal'),
    connections: 4,
    maxHits: 200,
    hitsPerRequest: [1, 10],
  })

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'millrace-load-'))
    seen = []
    answer = (ids) => ({ status: 202, body: `{"accepted":${ids.length}}` })
    server = createServer(async (request, response) => {
      const chunks: Buffer[] = []
      for await (const chunk of request) chunks.push(chunk)
      const ids = JSON.parse(Buffer.concat(chunks).toString()).hits.map((hit: { hit_id: string }) => hit.hit_id)
      const { status, body, drop } = answer(ids)
      if (status === 202) seen.push(...ids)
      if (drop) return void request.socket.destroy()
      response.writeHead(status, { 'content-length': body.length }).end(body)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  })
  afterEach(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
  })

  test('every hit that was answered is in the journal, by its id', async () => {
    const report = await new LoadGenerator(options()).done
    const journal = readJournal(options().journal)
    expect(report.answeredHits).toBe(report.sentHits)
    expect(journal.count('answered')).toBe(seen.length)
    expect(seen.every((id) => journal.was('answered', numberOfHitId(journal.seed, id)))).toBe(true)
  })

  test('a lost connection: the request is sent again with the same ids until it is answered', async () => {
    let requests = 0
    answer = (ids) => ({ status: 202, body: `{"accepted":${ids.length}}`, drop: ++requests % 5 === 0 })
    const report = await new LoadGenerator(options()).done
    expect(report.lostConnections).toBeGreaterThan(0)
    expect(report).toMatchObject({ answeredHits: report.sentHits, unknownHits: 0 })
    expect(seen.length).toBe(report.sentHits + report.resentHits)
    expect(new Set(seen).size).toBe(report.sentHits)
  })

  test('without resending, what was lost is unknown and not in the journal as answered', async () => {
    let requests = 0
    answer = (ids) => ({ status: 202, body: `{"accepted":${ids.length}}`, drop: ++requests === 3 })
    const report = await new LoadGenerator({ ...options(), resend: false }).done
    const journal = readJournal(options().journal)
    expect(report.unknownHits).toBeGreaterThan(0)
    expect(report.answeredHits).toBe(report.sentHits - report.unknownHits)
    expect(journal.count('sent') - journal.count('answered')).toBe(report.unknownHits)
  })

  test('a refused neighbour is told from the accepted ones', async () => {
    answer = (ids) => ({
      status: 202,
      body: JSON.stringify({ accepted: ids.length - 1, refused: [{ index: 0, code: 'url_invalid' }] }),
    })
    const report = await new LoadGenerator({ ...options(), hitsPerRequest: [10] }).done
    expect([report.refusedHits, report.answeredHits]).toEqual([20, 180])
    expect(readJournal(options().journal).count('refused')).toBe(20)
  })

  test('an answer to nothing ends the connection, not the run', async () => {
    server.on('connection', (socket) =>
      setTimeout(() => socket.write('HTTP/1.1 408 Timeout\r\nContent-Length: 0\r\n\r\n'), 20),
    )
    const report = await new LoadGenerator({ ...options(), rate: 50, maxHits: 10, hitsPerRequest: [1] }).done
    expect(report).toMatchObject({ answeredHits: 10, refusedHits: 0 })
  })

  test('503 is tried again, 400 is refused', async () => {
    let requests = 0
    answer = (ids) =>
      ++requests === 1
        ? { status: 503, body: '{}' }
        : requests === 2
          ? { status: 400, body: '{}' }
          : { status: 202, body: `{"accepted":${ids.length}}` }
    const report = await new LoadGenerator({ ...options(), hitsPerRequest: [10], connections: 1 }).done
    expect(report).toMatchObject({ resentHits: 10, refusedHits: 10, answeredHits: report.sentHits - 10 })
  })

  test('in a process of its own, at a rate', async () => {
    const load = spawnLoad({ ...options(), rate: 2_000, maxHits: 1_000, repeated: 0.5 })
    const report = await load.done
    expect(report.answeredHits).toBe(report.sentHits)
    expect(seen.length).toBe(report.sentHits + report.resentHits)
    expect(report.resentHits).toBeGreaterThan(0)
  })

  test('only loopback is a target', () => {
    expect(() => new LoadGenerator({ ...LOAD_DEFAULTS, url: 'http://192.0.2.1:80' })).toThrow('loopback')
  })
})

test('a file that is no journal is refused', () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-journal-'))
  new JournalWriter(join(folder, 'ok'), 9).close()
  expect(readJournal(join(folder, 'ok')).size).toBe(0)
  expect(() => readJournal(import.meta.filename)).toThrow('no journal')
  rmSync(folder, { recursive: true })
})
