import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { type ClickHouseClient, ClickHouseError, ClickHouseLogLevel, createClient } from '@clickhouse/client'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { waitUntil } from '../wait-until.ts'
import { type ClickHouseServer, startClickHouseServer } from './start-clickhouse-server.ts'

/** What ClickHouse's own clients and curl see of the stand-in. That it stores as ClickHouse does is the store's contract suite. */
describe('the ClickHouse stand-in', () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-'))
  let server: ClickHouseServer
  let client: ClickHouseClient
  const connect = (options: object = {}): ClickHouseClient =>
    createClient({ url: server.url, request_timeout: 20_000, log: { level: ClickHouseLogLevel.OFF }, ...options })

  beforeAll(async () => {
    server = await startClickHouseServer({ dir })
    client = connect()
    await client.command({ query: 'CREATE DATABASE d' })
  })
  afterAll(async () => {
    await client.close()
    await server.kill()
    rmSync(dir, { recursive: true, force: true })
  })
  beforeEach(async () => {
    await client.command({
      query: `CREATE OR REPLACE TABLE d.t (n UInt64 DEFAULT 7, text String DEFAULT concat('d', toString(n)))
        ENGINE = MergeTree ORDER BY n SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
    })
  })

  const rows = async (query: string, options: object = {}): Promise<unknown[]> => {
    const result = await client.query({ query, format: 'JSONEachRow', ...options })
    return (await result.json()) as unknown[]
  }
  const stored = (): Promise<unknown[]> => rows('SELECT toUInt32(n) AS n, text FROM d.t ORDER BY ALL')
  const insertOne = (n: number, options: object = {}): Promise<unknown> =>
    client.insert({ table: 'd.t', values: [{ n, text: 'x' }], format: 'JSONEachRow', ...options })

  describe('for @clickhouse/client', () => {
    it('answers ping and queries, with its headers', async () => {
      expect(await client.ping()).toEqual({ success: true })
      const result = await client.query({ query: 'SELECT 1 AS a', format: 'JSON', query_id: 'my-id' })
      expect(result.query_id).toBe('my-id')
      expect(result.response_headers).toMatchObject({
        'x-clickhouse-query-id': 'my-id',
        'x-clickhouse-format': 'JSON',
        'x-clickhouse-timezone': expect.any(String),
        'content-type': 'application/json; charset=UTF-8',
      })
      expect(JSON.parse(result.response_headers['x-clickhouse-summary'] as string)).toMatchObject({ read_rows: '1' })
      expect(await result.json()).toMatchObject({ data: [{ a: 1 }], rows: 1 })
    })

    it('inserts rows, giving what is left out its DEFAULT', async () => {
      const { summary } = await client.insert({
        table: 'd.t',
        values: [{ n: 1, text: 'ü \n\t\' "' }, { n: 2 }, {}],
        format: 'JSONEachRow',
      })
      expect(summary?.written_rows).toBe('3')
      expect(await stored()).toEqual([
        { n: 1, text: 'ü \n\t\' "' },
        { n: 2, text: 'd2' },
        { n: 7, text: 'd7' },
      ])
    })

    it('inserts Native blocks from a stream, straight and through a SELECT', async () => {
      const block = await native('SELECT number AS n, char(0, 10, 13, 39, number) AS text FROM numbers(200)')
      const insert = async (query: string): Promise<void> => {
        const values = Readable.from([block.subarray(0, 100), block.subarray(100), block], { objectMode: false })
        for await (const chunk of (await client.exec({ query, values })).stream) expect(chunk).toBe('nothing')
      }
      await insert('INSERT INTO d.t (n, text) FORMAT Native')
      await insert("INSERT INTO d.t (n) SELECT n + 1000 FROM input('n UInt64, text String') WHERE n < 2 FORMAT Native")
      expect(
        await rows('SELECT count() AS c, countIf(substring(text, 5) = char(n)) AS same, sum(n) AS s FROM d.t'),
      ).toEqual([{ c: 404, same: 400, s: 2 * 19_900 + 2 * 2_001 }])
      expect(readdirSync(join(dir, 'spool'))).toEqual([])
    })

    const native = async (query: string): Promise<Buffer> => {
      const { stream } = await client.exec({ query: `${query} FORMAT Native` })
      const chunks: Buffer[] = []
      for await (const chunk of stream) chunks.push(chunk as Buffer)
      return Buffer.concat(chunks)
    }

    it('packs bodies and answers', async () => {
      const packing = connect({ compression: { request: true, response: true } })
      const text = 'x'.repeat(10_000)
      await packing.insert({ table: 'd.t', values: [{ n: 1, text }], format: 'JSONEachRow' })
      const result = await packing.query({ query: 'SELECT text FROM d.t', format: 'JSONEachRow' })
      expect(result.response_headers['content-encoding']).toBe('gzip')
      expect(await result.json()).toEqual([{ text }])
      await packing.close()
    })

    it.each([false, true])('binds parameters, in a form: %s', async (use_multipart_params) => {
      const query_params = { text: `it's \\ \t\n {n:UInt8} ü`, list: ["a'b", '\\'], n: 3, none: null }
      const query =
        'SELECT {text:String} AS text, {list:Array(String)} AS list, {n:UInt8} AS n, {none:Nullable(String)} AS none'
      expect(await rows(query, { query_params, use_multipart_params })).toEqual([query_params])
      await expect(rows('SELECT {n:UInt8} AS n')).rejects.toMatchObject({ code: '456' })
    })

    it('keeps settings, database and parameters to their request', async () => {
      const one = connect({ max_open_connections: 1, database: 'd' })
      const read = async (clickhouse_settings = {}): Promise<unknown> => {
        const query = `SELECT getSetting('max_rows_to_read') AS max, getSetting('log_comment') AS comment, currentDatabase() AS d`
        return (await one.query({ query, format: 'JSONEachRow', clickhouse_settings })).json()
      }
      const set = { max_rows_to_read: '9', log_comment: "it's" }
      expect(await read(set)).toEqual([{ max: 9, comment: "it's", d: 'd' }])
      await expect(read({ ...set, max_columns_to_read: '-' })).rejects.toThrow(ClickHouseError)
      for (let i = 0; i < 4; i++) expect(await read()).toEqual([{ max: 0, comment: '', d: 'd' }])
      expect(await rows('SELECT currentDatabase() AS d')).toEqual([{ d: 'default' }])
      await one.close()
    })

    it.each([
      ['SELECT nothing', '47', 'UNKNOWN_IDENTIFIER', 404],
      ['SELECT (', '62', 'SYNTAX_ERROR', 400],
      ['SELECT * FROM d.none', '60', 'UNKNOWN_TABLE', 404],
      ["SELECT throwIf(1, 'it threw')", '395', 'FUNCTION_THROW_IF_VALUE_IS_NON_ZERO', 500],
      ['INSERT INTO d.t FORMAT JSONEachRow {"n": "x"}', '27', 'CANNOT_PARSE_INPUT_ASSERTION_FAILED', 400],
    ])('refuses %s by code %s, %s and status %d', async (query, code, type, status) => {
      const error = await client.command({ query }).catch((e: unknown) => e)
      expect(error).toBeInstanceOf(ClickHouseError)
      expect(error).toMatchObject({ code, type })
      expect((error as Error).message).not.toMatch(/Code:|spool/)
      const response = await fetch(server.url, { method: 'POST', body: query })
      expect([response.status, response.headers.get('x-clickhouse-exception-code')]).toEqual([status, code])
      expect(await response.text()).toMatch(
        new RegExp(`^Code: ${code}\\. DB::Exception: .*\\(${type}\\) \\(version `, 's'),
      )
    })

    it('keeps what a session sets, and gives back what one of its requests set', async () => {
      const session_id = `s${Date.now()}`
      const session = connect({ session_id, max_open_connections: 1 })
      await session.command({ query: 'CREATE TEMPORARY TABLE mine (a UInt8)' })
      await session.command({ query: 'SET max_threads = 3' })
      const read = async (clickhouse_settings = {}): Promise<unknown> => {
        const query = `SELECT toUInt32(getSetting('max_threads')) AS threads, (SELECT count() FROM mine) > 0 AS rows`
        return (await session.query({ query, format: 'JSONEachRow', clickhouse_settings })).json()
      }
      expect(await read()).toEqual([{ threads: 3, rows: 0 }])
      expect(await read({ max_threads: 7 })).toEqual([{ threads: 7, rows: 0 }])
      expect(await read()).toEqual([{ threads: 3, rows: 0 }])
      await expect(rows('SELECT * FROM mine')).rejects.toMatchObject({ type: 'UNKNOWN_TABLE' })
      const both = [session, connect({ session_id })].map((c) => c.command({ query: 'SELECT sleep(1)' }))
      const settled = await Promise.allSettled(both)
      expect(settled.map((s) => (s.status === 'fulfilled' ? 'ran' : s.reason.type)).sort()).toEqual(
        ['SESSION_IS_LOCKED', 'ran'].sort(),
      )
      await session.close()
    })

    const slow = 'SELECT sleepEachRow(0.05) FROM numbers(2000) SETTINGS max_block_size = 1'
    const processes = (): Promise<unknown[]> =>
      rows(
        `SELECT query_id, query, Settings['log_comment'] AS comment FROM system.processes WHERE query LIKE 'SELECT sleep%'`,
      )

    it.each(['ASYNC', 'SYNC'])('shows what runs, and ends it by KILL QUERY %s', async (mode) => {
      const query_id = `slow-${mode}`
      const running = client.command({ query: slow, query_id, clickhouse_settings: { log_comment: 'c' } })
      running.catch(() => undefined)
      await waitUntil('it runs', async () => (await processes()).length === 1)
      expect(await processes()).toEqual([{ query_id, query: slow, comment: 'c' }])
      await expect(client.command({ query: 'SELECT 1', query_id })).rejects.toMatchObject({ code: '216' })
      const killed = await client.exec({
        query: `KILL QUERY WHERE query_id = '${query_id}' ${mode} FORMAT JSONEachRow`,
      })
      let text = ''
      for await (const chunk of killed.stream) text += chunk
      expect(JSON.parse(text)).toMatchObject({ query_id, kill_status: mode === 'SYNC' ? 'finished' : 'waiting' })
      await expect(running).rejects.toMatchObject({ code: '394', type: 'QUERY_WAS_CANCELLED' })
      expect(await processes()).toEqual([])
    })

    it.each([0, 1])('runs on when its client goes away, unless told to end: %d', async (ends) => {
      const abort = new AbortController()
      const running = client.query({
        query: slow,
        query_id: `left-${ends}`,
        abort_signal: abort.signal,
        clickhouse_settings: { cancel_http_readonly_queries_on_client_close: ends as 0 | 1 },
      })
      running.catch(() => undefined)
      await waitUntil('it runs', async () => (await processes()).length === 1)
      abort.abort()
      await expect(running).rejects.toThrow(/abort/)
      if (ends) await waitUntil('it has ended', async () => (await processes()).length === 0)
      else expect(await processes()).toHaveLength(1)
      await client.command({ query: `KILL QUERY WHERE query_id = 'left-${ends}' SYNC` })
    })

    it('runs more statements side by side than one connection would', async () => {
      const many = Array.from({ length: 8 }, () => client.command({ query: slow }))
      for (const one of many) one.catch(() => undefined)
      await waitUntil('all run', async () => (await processes()).length === 8)
      await client.command({ query: `KILL QUERY WHERE query LIKE 'SELECT sleep%' SYNC` })
      expect((await Promise.allSettled(many)).every((one) => one.status === 'rejected')).toBe(true)
    })
  })

  describe('for curl', () => {
    const curl = (args: string[], input: string | Buffer = ''): Promise<string> =>
      new Promise((resolve, reject) => {
        const child = execFile('curl', ['-sS', '-m', '20', ...args], (error, out) =>
          error ? reject(error) : resolve(out),
        )
        child.stdin!.end(input)
      })
    const url = (query: string, more = ''): string => `${server.url}/?query=${encodeURIComponent(query)}${more}`

    it('answers /ping, and / without a query', async () => {
      expect(await curl([`${server.url}/ping`])).toBe('Ok.\n')
      expect(await curl([server.url])).toBe('Ok.\n')
    })

    it('takes the query in the URL, in the body, or in both', async () => {
      expect(await curl([url("SELECT 1, 'a\tb'")])).toBe('1\ta\\tb\n')
      expect(await curl([server.url, '-d', 'SELECT 2 FORMAT CSV'])).toBe('2\n')
      expect(await curl([url('SELECT', '&default_format=JSONEachRow'), '-d', '3 AS a'])).toBe('{"a":3}\n')
    })

    it('inserts from whatever holds the data', async () => {
      await curl([server.url, '--data-binary', '@-'], "INSERT INTO d.t VALUES (1, concat('a', 'b')), (2, 'x;y')")
      await curl([server.url, '--data-binary', '@-'], 'INSERT INTO d.t FORMAT CSV\n3,"a\nb"\n4,c\n')
      await curl([url('INSERT INTO d.t VALUES'), '--data-binary', '@-'], "(5, 'five')")
      await curl([url('INSERT INTO d.t (n) SETTINGS async_insert = 0 FORMAT TSV'), '--data-binary', '@-'], '6\n')
      await curl(
        [url('INSERT INTO d.t FORMAT JSONEachRow'), '-H', 'Content-Encoding: gzip', '--data-binary', '@-'],
        gzipSync('{"n":8}'),
      )
      expect(await stored()).toEqual([
        { n: 1, text: 'ab' },
        { n: 2, text: 'x;y' },
        { n: 3, text: 'a\nb' },
        { n: 4, text: 'c' },
        { n: 5, text: 'five' },
        { n: 6, text: 'd6' },
        { n: 8, text: 'd8' },
      ])
    })

    it('lets GET change nothing', async () => {
      expect(await curl([url('INSERT INTO d.t VALUES (1)')])).toMatch(/^Code: 164\. .*\(READONLY\)/)
      expect(await curl([url('DROP TABLE d.t')])).toMatch(/\(READONLY\)/)
    })

    it('lets one user in, however named', async () => {
      const other = mkdtempSync(join(tmpdir(), 'millrace-clickhouse-user-'))
      const guarded = await startClickHouseServer({ dir: other, user: 'ann', password: 'p:w' })
      const ask = (...args: string[]): Promise<string> => curl([...args, '-d', 'SELECT 1'])
      expect(await ask('-u', 'ann:p:w', guarded.url)).toBe('1\n')
      expect(await ask('-H', 'X-ClickHouse-User: ann', '-H', 'X-ClickHouse-Key: p:w', guarded.url)).toBe('1\n')
      expect(await ask(`${guarded.url}/?user=ann&password=p:w`)).toBe('1\n')
      for (const wrong of [['-u', 'ann:no'], ['-u', 'bob:p:w'], []]) {
        expect(await ask(...wrong, guarded.url)).toMatch(/^Code: 516\. .*\(AUTHENTICATION_FAILED\)/)
      }
      expect(await guarded.stop()).toEqual({ code: 0, signal: null })
      rmSync(other, { recursive: true, force: true })
    })
  })

  describe('when it fails on command', () => {
    afterEach(() => server.faults.clear())
    const outcome = (work: Promise<unknown>): Promise<string> =>
      work.then(
        () => 'ok',
        (error: { type?: string }) => error.type ?? 'cut',
      )
    const count = async (): Promise<number> => (await stored()).length

    it.each([
      ['before', 0],
      ['after', 1],
    ] as const)('refuses so many inserts %s they ran', async (when, kept) => {
      const fired = await server.faults.fired()
      await server.faults.add({ kind: 'refuse', when, times: 2, code: 159, type: 'TIMEOUT_EXCEEDED' })
      expect(await outcome(rows('SELECT 1'))).toBe('ok')
      const outcomes = [await outcome(insertOne(1)), await outcome(insertOne(2)), await outcome(insertOne(3))]
      expect(outcomes).toEqual(['TIMEOUT_EXCEEDED', 'TIMEOUT_EXCEEDED', 'ok'])
      expect(await count()).toBe(2 * kept + 1)
      expect(await server.faults.fired()).toBe(fired + 2)
    })

    it('hits only what matches', async () => {
      await server.faults.add({ kind: 'refuse', when: 'before', match: 'flush=2', code: 999, type: 'KEEPER_EXCEPTION' })
      const insert = (log_comment: string) => outcome(insertOne(1, { clickhouse_settings: { log_comment } }))
      expect([await insert('flush=1'), await insert('flush=2'), await insert('flush=2')]).toEqual([
        'ok',
        'KEEPER_EXCEPTION',
        'ok',
      ])
      await server.faults.add({
        kind: 'refuse',
        when: 'before',
        on: 'select',
        code: 241,
        type: 'MEMORY_LIMIT_EXCEEDED',
      })
      expect([await insert(''), await outcome(rows('SELECT 1'))]).toEqual(['ok', 'MEMORY_LIMIT_EXCEEDED'])
    })

    it('is read-only, or its disk is full, until it is not', async () => {
      await server.faults.readOnly()
      expect([await outcome(insertOne(1)), await outcome(insertOne(1)), await count()]).toEqual([
        'TABLE_IS_READ_ONLY',
        'TABLE_IS_READ_ONLY',
        0,
      ])
      await server.faults.clear()
      await server.faults.diskFull()
      expect([await outcome(insertOne(1)), await count()]).toEqual(['NOT_ENOUGH_SPACE', 0])
      await server.faults.clear()
      expect([await outcome(insertOne(1)), await count()]).toEqual(['ok', 1])
    })

    it('ends an insert midway: a table may have it whose view does not', async () => {
      await client.command({
        query: `CREATE TABLE d.seen (n UInt64, slow UInt8) ENGINE = MergeTree ORDER BY n`,
      })
      await client.command({
        query: `CREATE MATERIALIZED VIEW d.seen_view TO d.seen AS SELECT n, sleepEachRow(2.5) AS slow FROM d.t`,
      })
      await server.faults.diskFull({ afterMs: 1_200 })
      expect(await outcome(insertOne(1))).toBe('NOT_ENOUGH_SPACE')
      expect([await count(), await rows('SELECT * FROM d.seen')]).toEqual([1, []])
      await client.command({ query: 'DROP TABLE d.seen_view' })
      await client.command({ query: 'DROP TABLE d.seen' })
    })

    it('cuts the connection in the middle of a body: nothing is stored', async () => {
      await server.faults.add({ kind: 'cut_request', afterBytes: 200_000 })
      let sent = 0
      const body = Readable.from(
        (async function* () {
          for (; sent < 5_000; sent++) yield `{"n":${sent},"text":"${'x'.repeat(1_000)}"}\n`
        })(),
      )
      const query = encodeURIComponent('INSERT INTO d.t FORMAT JSONEachRow')
      const request = httpRequest(`${server.url}/?query=${query}`, { method: 'POST' })
      await expect(
        new Promise((resolve, reject) => {
          request.on('response', resolve).on('error', reject)
          body.on('error', reject).pipe(request)
        }),
      ).rejects.toThrow(/socket hang up|ECONNRESET|EPIPE/)
      expect(await count()).toBe(0)
      expect(readdirSync(join(dir, 'spool'))).toEqual([])
    })

    it('loses the answer of what ran, whole or in the middle', async () => {
      await server.faults.add({ kind: 'lose_answer' })
      await server.faults.add({ kind: 'cut_response' })
      await server.faults.add({ kind: 'cut_response', on: 'select' })
      const insert = (n: number): Promise<string> =>
        outcome(fetch(server.url, { method: 'POST', body: `INSERT INTO d.t VALUES (${n}, '')` }).then((r) => r.text()))
      expect([await insert(1), await insert(2), await insert(3)]).toEqual(['cut', 'cut', 'ok'])
      const numbers = await fetch(server.url, { method: 'POST', body: 'SELECT number FROM numbers(100000)' })
      expect(numbers.status).toBe(200)
      await expect(numbers.text()).rejects.toThrow()
      expect(await count()).toBe(3)
    })

    it.each(['before', 'after'] as const)('answers late, waiting %s it runs', async (when) => {
      await server.faults.add({ kind: 'delay', when, ms: 700 })
      const late = outcome(insertOne(1, { abort_signal: AbortSignal.timeout(400) }))
      expect(await late).toBe('cut')
      // What was begun is done, though nobody waits for it.
      await waitUntil('it has run', async () => (await count()) === 1)
    })

    it('answers nothing while it is stalled, and goes on after it', async () => {
      server.stall()
      await expect(fetch(`${server.url}/ping`, { signal: AbortSignal.timeout(300) })).rejects.toThrow(/timeout/)
      const waiting = insertOne(1)
      server.resume()
      await waiting
      server.stall(200)
      await insertOne(2)
      expect(await count()).toBe(2)
    })
  })

  it('keeps what it acknowledged over kill -9 in mid-insert, and goes on on the same port', async () => {
    const acknowledged: number[] = []
    let next = 0
    const insert = async (): Promise<void> => {
      for (;;) {
        const n = next++
        await insertOne(n)
        acknowledged.push(n)
      }
    }
    const ended = Promise.allSettled([insert(), insert(), insert()])
    await waitUntil('some are in', () => acknowledged.length > 20)
    expect(await server.kill()).toEqual({ code: null, signal: 'SIGKILL' })
    await ended
    expect(next).toBeGreaterThan(acknowledged.length)
    server = await startClickHouseServer({ dir, port: Number(new URL(server.url).port) })
    const kept = (await stored()) as { n: number }[]
    const found = new Set(kept.map(({ n }) => n))
    expect(acknowledged.filter((n) => !found.has(n))).toEqual([])
    expect(kept.length).toBe(found.size)
    expect(kept.length).toBeLessThanOrEqual(next)
    await insertOne(next)
  })

  it('says why it does not start', async () => {
    await expect(startClickHouseServer({ dir })).rejects.toThrow(/stand-in ended/)
  })
})
