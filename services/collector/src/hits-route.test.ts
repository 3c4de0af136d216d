import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { deflateSync, gzipSync } from 'node:zlib'
import { AppendInDoubt, type EventLog, type LogProducer, openEmbeddedLog } from '@millrace/log'
import { createLogger, createServer, type Server } from '@millrace/server'
import { HITS_RAW, type RawLine } from '@millrace/shared'
import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { EVERY_SITE } from './config.fixture.ts'
import { settingsWith } from './settings.fixture.ts'
import { type Collector, startCollector } from './start.ts'
import { parseTrustedProxies } from './trusted-proxies.ts'

const page = 'https://example.com/pricing'
const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0'
const JSON_BODY = { 'content-type': 'application/json' }
const TEXT_BODY = { 'content-type': 'text/plain;charset=UTF-8' }

let dir: string
let log: EventLog
let server: Server
let collector: Collector
let url: string
const logged: string[] = []
/** What the log does with appends now: undefined = what it always does. */
let fault: ((append: () => Promise<Map<number, number>>) => Promise<Map<number, number>>) | undefined
/** End of each partition before the test, so that it sees its own lines only. */
let before: Map<number, number>

/** The real log, but for the fault of the moment. */
function withFaults(real: EventLog): EventLog {
  const producer = (): LogProducer => {
    const inner = real.producer()
    return {
      append: (topic, records) => (fault ? fault(() => inner.append(topic, records)) : inner.append(topic, records)),
      close: () => inner.close(),
    }
  }
  return Object.assign(Object.create(real) as EventLog, { producer })
}

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'collector-'))
  log = await openEmbeddedLog({ dir, topics: [HITS_RAW], hitPartitions: 4 })
  ;({ server, collector, url } = await start(20_000))
})

/** A collector on the log. */
async function start(giveUpMs: number): Promise<{ server: Server; collector: Collector; url: string }> {
  const logger = createLogger('info', 'collector', { write: (line) => void logged.push(line) })
  const server = createServer({ host: '127.0.0.1', port: 0, name: 'collector', logger })
  const collector = await startCollector({
    log: withFaults(log),
    config: EVERY_SITE,
    server,
    settings: settingsWith({ MILLRACE_TRUSTED_PROXIES: parseTrustedProxies('127.0.0.0/8'), MILLRACE_SPOOL_MAX_MB: 1 }),
    clock: () => 1_795_219_200_000,
    limits: { giveUpMs },
  })
  return { server, collector, url: await server.listen() }
}

afterAll(async () => {
  await collector.close()
  await server.close()
  await log.close()
  await rm(dir, { recursive: true })
})

beforeEach(async () => {
  fault = undefined
  before = await log.admin().endOffsets(HITS_RAW.name)
})

interface Answer {
  status: number
  headers: Headers
  body: Record<string, unknown> & { refused?: { index: number; code: string; pointer: string }[] }
}

async function post(body: unknown, headers: Record<string, string> = JSON_BODY, to = url): Promise<Answer> {
  const bytes = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body)
  const response = await fetch(`${to}/v1/hits`, {
    method: 'POST',
    headers: { 'user-agent': agent, 'accept-language': 'de-AT', ...headers },
    body: typeof bytes === 'string' ? Buffer.from(bytes) : new Uint8Array(bytes),
  })
  const type = response.headers.get('content-type')
  expect(type).toBe(response.ok ? 'application/json; charset=utf-8' : 'application/problem+json; charset=utf-8')
  expect(response.headers.get('access-control-allow-origin')).toBe('*')
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer['body'] }
}

/** The lines that came into the log since the test began. */
async function lines(): Promise<(RawLine & { partition: number })[]> {
  const found: (RawLine & { partition: number })[] = []
  for (const [partition, from] of before) {
    for await (const records of log.reader().read(HITS_RAW.name, partition, from, Number.MAX_SAFE_INTEGER)) {
      for (const { value } of records) {
        const texts = value!.toString().split('\n')
        expect(texts.pop()).toBe('')
        for (const text of texts) found.push({ ...(JSON.parse(text) as RawLine), partition })
      }
    }
  }
  return found
}

describe('POST /v1/hits', () => {
  it('it answers 202 when the log has the hit', async () => {
    const { status, body } = await post({ url: page, site: 'blog', created_at: 5, sent_at: 6 })
    expect([status, body]).toEqual([202, { accepted: 1 }])
    expect(await lines()).toMatchObject([
      {
        v: 1,
        collected_at: 1_795_219_200_000,
        config_at: -1,
        site: 'blog',
        trust: 'public',
        ip: '127.0.0.1',
        user_agent: agent,
        sent_at: 6,
        headers: { 'accept-language': 'de-AT', 'http-version': '1.1' },
        hits: [{ url: page, created_at: 5, hit_id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string }],
      },
    ])
  })

  it('it names the refused neighbour of an accepted hit', async () => {
    const { status, body } = await post({ hits: [{ url: page }, { url: 'nowhere' }], sent_at: 1 })
    expect(status).toBe(202)
    expect(body).toEqual({
      accepted: 1,
      refused: [{ index: 1, code: 'url_invalid', pointer: '/hits/1/url', detail: expect.any(String) as string }],
    })
    expect(await lines()).toMatchObject([{ hits: [{ url: page }] }])
  })

  it('it refuses a request of which nothing is accepted, with the same list', async () => {
    const { status, body } = await post({ hits: [{ url: 'nowhere' }, { foo: 1 }] })
    expect(status).toBe(400)
    expect(body).toMatchObject({
      type: 'urn:millrace:error:hits_refused',
      status: 400,
      code: 'hits_refused',
      refused: [
        { index: 0, code: 'url_invalid', pointer: '/hits/0/url' },
        { index: 1, code: 'field_unknown', pointer: '/hits/1/foo' },
      ],
    })
    expect((await post({ url: page, foo: 1 })).body.refused).toMatchObject([{ index: 0, pointer: '/foo' }])
    expect(await lines()).toEqual([])
  })

  it('it takes 100 hits and not one more', async () => {
    const hits = Array.from({ length: 100 }, (_, i) => ({ url: `${page}/${i}` }))
    expect((await post({ hits })).body).toEqual({ accepted: 100 })
    const { status, body } = await post({ hits: [...hits, { url: page }] })
    expect([status, body.code]).toEqual([400, 'hits_too_many'])
    expect((await lines()).flatMap((line) => line.hits)).toHaveLength(100)
  })

  it.each<[string, Record<string, string>, Uint8Array]>([
    ['gzip', { ...JSON_BODY, 'content-encoding': 'gzip' }, gzipSync(JSON.stringify({ url: page }))],
    ['deflate', { ...JSON_BODY, 'content-encoding': 'deflate' }, deflateSync(JSON.stringify({ url: page }))],
    ['a beacon', TEXT_BODY, Buffer.from(JSON.stringify({ url: page }))],
    ['a beacon with unknown fields', TEXT_BODY, Buffer.from(JSON.stringify({ url: page, foo: 1 }))],
    ['no content type', {}, Buffer.from(JSON.stringify({ url: page, foo: 1 }))],
    ['JSON with a charset', { 'content-type': 'application/json; charset=utf-8' }, Buffer.from(`{"url":"${page}"}`)],
    ['JSON in capitals', { 'content-type': 'Application/JSON' }, Buffer.from(`{"url":"${page}"}`)],
    ['a byte order mark', JSON_BODY, Buffer.from(`\ufeff{"url":"${page}"}`)],
  ])('it takes %s', async (_what, headers, body) => {
    expect((await post(body, headers)).body).toEqual({ accepted: 1 })
    expect(await lines()).toMatchObject([{ site: 'default', hits: [{ url: page }] }])
  })

  it('it counts unknown fields of beacons', async () => {
    const counted = async (): Promise<number> =>
      Number(/^millrace_collector_fields_ignored_total (\d+)$/m.exec(await (await fetch(`${url}/metrics`)).text())?.[1])
    const earlier = await counted()
    await post({ url: page, foo: 1, bar: 2 }, TEXT_BODY)
    expect(await counted()).toBe(earlier + 2)
  })

  it.each<[string, string | Uint8Array, Record<string, string>, number, string]>([
    ['no body', '', JSON_BODY, 400, 'json_invalid'],
    ['malformed JSON', '{"url":', JSON_BODY, 400, 'json_invalid'],
    ['a wrong type', '{"hits":"all"}', JSON_BODY, 400, 'body_invalid'],
    ['an unknown field of the envelope', '{"hits":[{}],"foo":1}', JSON_BODY, 400, 'field_unknown'],
    ['an empty list', '{"hits":[]}', JSON_BODY, 400, 'body_invalid'],
    ['bad UTF-8', new Uint8Array([0x7b, 0xff, 0x7d]), JSON_BODY, 400, 'json_invalid'],
    ['deep nesting', '['.repeat(60_000), JSON_BODY, 400, 'json_invalid'],
    ['deep nesting that is closed', `${'['.repeat(30_000)}${']'.repeat(30_000)}`, JSON_BODY, 400, 'body_invalid'],
    ['deep nesting in a hit', `{"url":${'['.repeat(20_000)}${']'.repeat(20_000)}}`, JSON_BODY, 400, 'hits_refused'],
    ['a 10 kB path', `{"url":"https://example.com/${'a'.repeat(10_000)}"}`, JSON_BODY, 400, 'hits_refused'],
    ['a raw NUL', '{"url":"https://example.com/\0"}', JSON_BODY, 400, 'json_invalid'],
    ['a field for secret keys', `{"url":"${page}","ip":"192.0.2.7"}`, JSON_BODY, 400, 'hits_refused'],
    ['64 KB and a byte', ' '.repeat(65_537), JSON_BODY, 413, 'body_too_large'],
    [
      'a gzip bomb',
      gzipSync(Buffer.alloc(20_000_000)),
      { ...JSON_BODY, 'content-encoding': 'gzip' },
      413,
      'body_too_large',
    ],
    ['broken gzip', 'not gzip', { ...JSON_BODY, 'content-encoding': 'gzip' }, 400, 'body_invalid'],
    ['zstd', '{}', { ...JSON_BODY, 'content-encoding': 'zstd' }, 415, 'encoding_unsupported'],
    ['a form', 'url=a', { 'content-type': 'application/x-www-form-urlencoded' }, 415, 'media_type_unsupported'],
    ['no real type', '{}', { 'content-type': 'json' }, 415, 'media_type_unsupported'],
  ])('it refuses %s', async (_what, body, headers, status, code) => {
    const answer = await post(body, headers)
    expect([answer.status, answer.body.code]).toEqual([status, code])
    expect(await lines()).toEqual([])
  })

  it.each<[string, string, object]>([
    ['the year 1970', `{"url":"${page}","created_at":0,"sent_at":0}`, { created_at: 0 }],
    ['the year 2100', `{"url":"${page}","created_at":4102444800000}`, { created_at: 4_102_444_800_000 }],
    ['a lone surrogate', `{"url":"${page}","title":"a\\ud800b"}`, { title: 'a\ufffdb' }],
    ['an escaped NUL', `{"url":"${page}","title":"a\\u0000b"}`, { title: 'ab' }],
    ['a key that comes twice', `{"url":"/","url":"${page}"}`, { url: page }],
    ['a referrer that is no URL', `{"url":"${page}","referrer":"somewhere"}`, { referrer: 'somewhere' }],
  ])('it takes %s as documented', async (_what, body, expected) => {
    expect((await post(body)).status).toBe(202)
    expect(await lines()).toMatchObject([{ hits: [expected] }])
  })

  it.each([
    ['with its length', 'Content-Length: 104857600\r\n', 'x'.repeat(65_536)],
    ['in chunks', 'Transfer-Encoding: chunked\r\n', `10000\r\n${'x'.repeat(65_536)}\r\n`],
  ])('it answers a body of 100 MB %s with 413 before it has come, and reads on', async (_how, header, part) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    let answer = ''
    let writeMore = true
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      answer += chunk
      writeMore = false
    })
    socket.write(`POST /v1/hits HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n${header}\r\n`)
    let sent = 0
    for (; writeMore && sent < 104_857_600; sent += part.length) if (!socket.write(part)) await once(socket, 'drain')
    expect(answer).toMatch(/^HTTP\/1.1 413 /)
    expect(answer).toContain('"code":"body_too_large"')
    expect(sent).toBeLessThan(20_000_000)
    // A sender that looks for the answer only when it has sent all must find it: no reset.
    for (let more = 0; more < 8_000_000; more += part.length) if (!socket.write(part)) await once(socket, 'drain')
    socket.destroy()
  })

  it('it goes by X-Forwarded-For of a trusted proxy', async () => {
    await post({ url: page }, { ...JSON_BODY, 'x-forwarded-for': '198.51.100.9, ::ffff:203.0.113.5, 127.0.0.9' })
    expect(await lines()).toMatchObject([{ ip: '203.0.113.5' }])
  })

  it('it writes one line per site of a request', async () => {
    await post({ hits: ['a', 'b', 'a'].map((site) => ({ url: page, site })) })
    expect((await lines()).map(({ site, hits }) => [site, hits.length]).sort()).toEqual([
      ['a', 2],
      ['b', 1],
    ])
  })

  it('it lets any origin send, and says which methods there are', async () => {
    const preflight = await fetch(`${url}/v1/hits`, { method: 'OPTIONS', headers: { origin: 'https://example.com' } })
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe('*')
    expect(preflight.headers.get('access-control-allow-headers')).toContain('content-type')
    const wrong = await fetch(`${url}/v1/hits`)
    expect([wrong.status, wrong.headers.get('allow')]).toEqual([405, 'OPTIONS, POST'])
    expect((await fetch(`${url}/v1/hits`, { method: 'HEAD' })).status).toBe(405)
  })

  it('it makes all of many requests at once durable', async () => {
    const answers = await Promise.all(Array.from({ length: 300 }, (_, i) => post({ url: `${page}/${i}` })))
    expect(answers.filter(({ status }) => status !== 202)).toEqual([])
    const urls = (await lines()).flatMap(({ hits }) => hits.map((hit) => hit.url))
    expect(new Set(urls).size).toBe(300)
  })

  it('it repeats an append in doubt, and the hit stays one record in two places at most', async () => {
    let failed = false
    fault = async (append) => {
      const offsets = await append()
      if (failed) return offsets
      failed = true
      throw new AppendInDoubt('the answer was lost')
    }
    expect((await post({ url: page })).status).toBe(202)
    const found = await lines()
    expect(found).toHaveLength(2)
    expect(found[0]).toEqual(found[1])
  })

  it('it says so while the log does not answer, and recovers when it does', async () => {
    const impatient = await start(100)
    const send = (): Promise<Answer> => post({ url: page }, JSON_BODY, impatient.url)
    const isReady = async (): Promise<boolean> => (await fetch(`${impatient.url}/readyz`)).status === 200
    let answer = (): void => undefined
    fault = async (append) => {
      await new Promise<void>((resolve) => {
        answer = resolve
      })
      return append()
    }
    const refused = await send()
    expect([refused.status, refused.body.code]).toEqual([503, 'log_unavailable'])
    expect(refused.headers.get('retry-after')).toBe('5')
    expect(await isReady()).toBe(false)
    expect((await send()).status).toBe(503)
    fault = undefined
    answer()
    while (!(await isReady()));
    while ((await send()).status !== 202);
    await impatient.collector.close()
    await impatient.server.close()
  })

  it('it answers any bytes with a problem or 202, never with a failure', async () => {
    const kinds = fc.constantFrom(JSON_BODY, TEXT_BODY, {})
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), kinds, async (bytes, headers) => {
        expect((await post(bytes, headers as Record<string, string>)).status).toBeLessThan(500)
      }),
      { numRuns: 200 },
    )
  })

  it('it answers any JSON with a problem or 202, never with a failure', async () => {
    const parts = fc.oneof(
      fc.jsonValue({ stringUnit: 'binary' }),
      fc.constantFrom(page, 'event', 1e308, '\ud800', '\0'),
    )
    const hit = fc.record(
      { url: parts, type: fc.constantFrom('event', 'page_view', 'engagement'), name: parts, props: parts, tags: parts },
      { requiredKeys: [] },
    )
    const body = fc.oneof(
      fc.jsonValue({ stringUnit: 'binary' }),
      hit,
      fc.record({ hits: fc.array(hit), sent_at: parts }),
    )
    await fc.assert(
      fc.asyncProperty(body, fc.constantFrom(JSON_BODY, TEXT_BODY), async (value, headers) => {
        expect((await post(value, headers)).status).toBeLessThan(500)
      }),
      { numRuns: 300 },
    )
    for (const line of await lines()) expect(line.hits.length).toBeGreaterThan(0)
  })

  it('it counts what it did, and logs nothing about who sent it', async () => {
    await post({ url: page })
    await post({ url: 'nowhere' })
    const metrics = await (await fetch(`${url}/metrics`)).text()
    expect(metrics).toMatch(/^millrace_collector_requests_total\{class="2xx"\} [1-9]/m)
    expect(metrics).toMatch(/^millrace_collector_requests_total\{class="4xx"\} [1-9]/m)
    expect(metrics).toMatch(/^millrace_collector_hits_refused_total\{code="url_invalid"\} [1-9]/m)
    expect(metrics).toMatch(/^millrace_collector_hits_accepted_total [1-9]/m)
    expect(metrics).toMatch(/^millrace_collector_in_flight_bytes 0$/m)
    expect(metrics).toMatch(/^millrace_collector_append_seconds_count [1-9]/m)
    expect(logged.join('')).not.toMatch(/127\.0\.0|Mozilla|example\.com/)
  })
})

describe('close', () => {
  it('it makes durable and answers what was taken, and refuses the rest', async () => {
    let release = (): void => undefined
    const asked = new Promise<void>((begun) => {
      fault = async (append) => {
        begun()
        await new Promise<void>((resolve) => {
          release = resolve
        })
        return append()
      }
    })
    const taken = post({ url: `${page}/taken` })
    await asked
    const closed = collector.close()
    const refused = await post({ url: `${page}/refused` })
    expect([refused.status, refused.body.code]).toEqual([503, 'shutting_down'])
    fault = undefined
    release()
    expect((await taken).status).toBe(202)
    await closed
    expect((await lines()).flatMap(({ hits }) => hits.map((hit) => hit.url))).toEqual([`${page}/taken`])
  })
})
