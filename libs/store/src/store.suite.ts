import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ColumnType, HIT_COLUMNS, SESSION_BLOCK_COLUMNS, SESSION_COLUMNS } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { migrate, SchemaMismatch } from './migrate.ts'
import { MIGRATIONS_DIR, readMigrations } from './migration-files.ts'
import { holdSchemaLock } from './schema-lock.ts'
import {
  type BlockInsert,
  type Slice,
  type Store,
  StoreRefused,
  StoreUnavailable,
  VIOLATED_CONSTRAINT,
} from './store.ts'
import { hitBlock, hitMarker, hitRow, noon, sessionBlock, sessionMarker, sessionRow } from './store-rows.suite.ts'

const hitsIn = (blocks: readonly Buffer[], logComment = ''): BlockInsert => ({ table: 'hits_in', blocks, logComment })
const sessionsIn = (blocks: readonly Buffer[], logComment = ''): BlockInsert => ({
  table: 'sessions_in',
  blocks,
  logComment,
})

/** What the port promises, for every adapter. `open` gives a store on a database that no test has used. */
export function storeContract(name: string, open: () => Promise<Store>): void {
  describe(`${name}: Store`, () => {
    let store: Store
    let first: { applied: number[] }
    beforeAll(async () => {
      store = await open()
      first = await migrate(store)
      await store.command('SYSTEM STOP MERGES')
    })
    afterAll(() => store.close())
    migrations(
      () => store,
      () => first,
    )
    inserts(() => store)
    parts(() => store)
    missing(() => store)
    deadlines(() => store)
    statements(() => store)
    endings(() => store)
  })
}

const OUR_VERSIONS = readMigrations(MIGRATIONS_DIR).map(({ version }) => version)
const NEXT_VERSION = OUR_VERSIONS.length + 1

function migrations(store: () => Store, first: () => { applied: number[] }): void {
  const dirs: string[] = []
  const copyOfMigrations = (): string => {
    const dir = mkdtempSync(join(tmpdir(), 'millrace-migrations-'))
    dirs.push(dir)
    cpSync(MIGRATIONS_DIR, dir, { recursive: true })
    return dir
  }
  afterAll(() => {
    for (const dir of dirs) rmSync(dir, { recursive: true })
  })

  describe('migrations', () => {
    it('applied everything to an empty database, and nothing the second time', async () => {
      expect(first().applied).toEqual(OUR_VERSIONS)
      expect(await migrate(store())).toEqual({ applied: [] })
    })

    it('refuse a file that was changed after it was applied, naming it', async () => {
      const dir = copyOfMigrations()
      const file = join(dir, '0001-tables.sql')
      writeFileSync(file, `${readFileSync(file, 'utf8')}\n-- later thought\n`)
      await expect(migrate(store(), { dir })).rejects.toThrow(SchemaMismatch)
      await expect(migrate(store(), { dir })).rejects.toThrow(/migration 1 \(tables\) was changed/)
    })

    it('refuse a database that is newer than the program', async () => {
      const dir = copyOfMigrations()
      rmSync(join(dir, readdirSync(dir).sort().at(-1)!))
      await expect(migrate(store(), { dir })).rejects.toThrow(/run a newer version/)
    })

    it('complete one that was cut off, whatever part of it was done', async () => {
      await store().command('TRUNCATE TABLE millrace.schema_migrations')
      await store().command('DROP TABLE millrace.daily_pages_view')
      expect(await migrate(store())).toEqual({ applied: OUR_VERSIONS })
      expect((await store().targets()).map((t) => t.name)).toContain('daily_pages')
      expect(await migrate(store())).toEqual({ applied: [] })
    })

    it('may run in several processes at once', async () => {
      const dir = copyOfMigrations()
      writeFileSync(
        join(dir, `${String(NEXT_VERSION).padStart(4, '0')}-probe.sql`),
        'CREATE TABLE IF NOT EXISTS millrace.probe (n UInt8)\nENGINE = Null;\n',
      )
      const results = await Promise.all([
        migrate(store(), { dir }),
        migrate(store(), { dir }),
        migrate(store(), { dir }),
      ])
      expect(results.flatMap((r) => r.applied)).toContain(NEXT_VERSION)
      expect(await migrate(store(), { dir })).toEqual({ applied: [] })
      await store().command('DROP TABLE millrace.probe')
      await store().command('TRUNCATE TABLE millrace.schema_migrations')
      expect(await migrate(store())).toEqual({ applied: OUR_VERSIONS })
    })

    it('let one process work at a time, and take over from one that died', async () => {
      const order: string[] = []
      const worker = (id: string) =>
        holdSchemaLock(store(), async (renew) => {
          order.push(`${id} begins`)
          await renew()
          order.push(`${id} ends`)
        })
      await store().command(
        `CREATE TABLE millrace.schema_lock (n UInt8) ENGINE = Null COMMENT 'dead until=${await store().nowMs()}'`,
      )
      await Promise.all([worker('a'), worker('b')])
      expect(order.map((line) => line.split(' ')[1])).toEqual(['begins', 'ends', 'begins', 'ends'])
      expect(await store().query(`SELECT 1 FROM system.tables WHERE name = 'schema_lock'`)).toEqual([])
    })
  })

  describe('tables', () => {
    /** Texts that come plain and are stored as LowCardinality. */
    const STORED_BY_DICTIONARY: Record<string, string[]> = {
      hits: ['path', 'title', 'entry_path', 'previous_path'],
      sessions: ['entry_path', 'exit_path', 'exit_title'],
    }
    const undictionary = (type: string): string => type.replace(/^LowCardinality\((.*)\)$/, '$1')
    const tables: [string, Record<string, ColumnType>][] = [
      ['hits_in', HIT_COLUMNS],
      ['hits', HIT_COLUMNS],
      ['sessions_in', SESSION_BLOCK_COLUMNS],
      ['sessions', SESSION_COLUMNS],
    ]
    it.each(tables)('%s has the columns of the vocabulary, in its order', async (table, columns) => {
      const described = await store().query<{ name: string; type: string }>(`DESCRIBE TABLE millrace.${table}`)
      const plain = described.map(({ name, type }) => [
        name,
        STORED_BY_DICTIONARY[table]?.includes(name) ? undictionary(type) : type,
      ])
      expect(plain).toEqual(Object.entries(columns))
    })

    it('are durable when an insert is answered', async () => {
      const rows = await store().query<{ name: string; create: string }>(
        `SELECT name, create_table_query AS create FROM system.tables
         WHERE database = 'millrace' AND engine LIKE '%MergeTree' ORDER BY name`,
      )
      expect(rows.map((r) => r.name)).toEqual([
        'daily_hits',
        'daily_pages',
        'daily_sessions',
        'deletions',
        'hidden_hits',
        'hits',
        'rebuild_hits',
        'rebuild_sessions',
        'rebuilds',
        'schema_migrations',
        'sessions',
      ])
      for (const { create } of rows) expect(create).toMatch(/fsync_after_insert = 1, fsync_part_directory = 1/)
    })
  })
}

function inserts(store: () => Store): void {
  describe('insert', () => {
    it('feeds hits and their rollups', async () => {
      const page = { site: 'feed', path: '/a', hostname: 'example.com', visitor_id: '0000000000000001' }
      const rows = [
        hitRow('2026-03-01', page),
        hitRow('2026-03-01', { ...page, path: '/b' }),
        hitRow('2026-03-01', { ...page, visitor_id: '0000000000000002' }),
        hitRow('2026-03-02', { ...page, type: 'event' }),
        hitRow('2026-03-02', { ...page, type: 'engagement', visitor_id: '0000000000000009' }),
        hitRow('2026-03-01', { ...page, verdict: 'duplicate', verdict_reason: '' }),
        hitRow('2026-03-01', { ...page, verdict: 'dead', verdict_reason: 'url_invalid' }),
        hitMarker('2026-03-01', 101, 7),
      ]
      await store().insert(hitsIn([hitBlock(rows)]))
      const counts = `SELECT toString(day) AS day, sum(page_views) AS page_views, sum(events) AS events,
        uniqCombined64Merge(14)(visitors) AS visitors FROM millrace.daily_hits WHERE site = 'feed' GROUP BY day ORDER BY day`
      expect(await store().query(counts)).toEqual([
        { day: '2026-03-01', page_views: '3', events: '0', visitors: '2' },
        { day: '2026-03-02', page_views: '0', events: '1', visitors: '1' },
      ])
      const pages = `SELECT hostname, path, sum(page_views) AS page_views FROM millrace.daily_pages
        WHERE site = 'feed' GROUP BY hostname, path ORDER BY path`
      expect(await store().query(pages)).toEqual([
        { hostname: 'example.com', path: '/a', page_views: '2' },
        { hostname: 'example.com', path: '/b', page_views: '1' },
      ])
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'feed'`)).toEqual([{ n: '7' }])
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE verdict = 'marker'`)).toEqual([
        { n: '0' },
      ])
      for (const table of ['daily_hits', 'daily_pages']) expect(await watermark(store(), table, 101)).toBe(7)
    })

    it('feeds the views that users read: only hits that count, and what became of the others', async () => {
      const at = noon('2026-03-01')
      const count = async (view: string): Promise<unknown> =>
        (await store().query<{ n: string }>(`SELECT count() AS n FROM analytics.${view} WHERE site = 'feed'`))[0]!.n
      expect([await count('hits'), await count('page_views'), await count('events')]).toEqual(['5', '3', '1'])
      const ledger = `SELECT toUnixTimestamp(hour) * 1000 AS hour_ms, verdict, verdict_reason, hits FROM analytics.ledger
        WHERE site = 'feed' AND hour < '2026-03-02 00:00:00' ORDER BY verdict`
      expect(await store().query(ledger)).toEqual([
        { hour_ms: String(at), verdict: 'keep', verdict_reason: '', hits: '3' },
        { hour_ms: String(at), verdict: 'duplicate', verdict_reason: '', hits: '1' },
        { hour_ms: String(at), verdict: 'dead', verdict_reason: 'url_invalid', hits: '1' },
      ])
    })

    it('feeds sessions, which collapse to their last state', async () => {
      const id = { site: 'visits', session_id: 'ffffffffffffff01', kp: 102 }
      const one = { ...id, version: 1, page_views: 1, is_bounce: 1 }
      const two = { ...id, version: 2, page_views: 2, duration_ms: 5_000, exit_path: '/b' }
      await store().insert(
        sessionsIn([sessionBlock([sessionRow('2026-03-01', one), sessionMarker('2026-03-01', 102, 3)])]),
      )
      const rows = [sessionRow('2026-03-01', { ...one, sign: -1 }), sessionRow('2026-03-01', two)]
      const moved = { ...two, version: 3, session_id: 'ffffffffffffff02' }
      await store().insert(
        sessionsIn([sessionBlock([...rows, sessionRow('2026-03-03', moved), sessionMarker('2026-03-01', 102, 9)])]),
      )
      const seen = `SELECT hex(session_id) AS id, toString(day) AS day, page_views, is_bounce, duration_ms, exit_path
        FROM analytics.sessions WHERE site = 'visits' ORDER BY id`
      expect(await store().query(seen)).toEqual([
        { id: 'FFFFFFFFFFFFFF01', day: '2026-03-01', page_views: 2, is_bounce: 0, duration_ms: 5_000, exit_path: '/b' },
        { id: 'FFFFFFFFFFFFFF02', day: '2026-03-03', page_views: 2, is_bounce: 0, duration_ms: 5_000, exit_path: '/b' },
      ])
      const daily = `SELECT toString(day) AS day, sum(sessions) AS sessions, sum(bounces) AS bounces, sum(duration_ms) AS duration,
        sum(page_views) AS views FROM millrace.daily_sessions WHERE site = 'visits' GROUP BY day ORDER BY day`
      expect(await store().query(daily)).toEqual([
        { day: '2026-03-01', sessions: '1', bounces: '0', duration: '5000', views: '2' },
        { day: '2026-03-03', sessions: '1', bounces: '0', duration: '5000', views: '2' },
      ])
      expect(await watermark(store(), 'daily_sessions', 102)).toBe(9)
      const totals = `SELECT sum(sessions) AS n FROM millrace.daily_sessions WHERE site = ''`
      expect(await store().query(totals)).toEqual([{ n: '0' }])
    })

    it('keeps every value as it is', async () => {
      const text = 'Zoë 🦊 \u0000 \t\n\\ \' " ` 日本 \u{10FFFF}'
      const row = hitRow('2026-04-01', {
        site: 'values',
        path: text,
        title: '',
        hostname: text,
        visitor_id: 'fedcba9876543210',
        session_id: 'ffffffffffffffff',
        hit_id: '01932c07-89ab-7cde-8f01-23456789abcd',
        time: -1,
        day: 0,
        value: -12_345_678_901.2345,
        event_duration_ms: 4_294_967_295,
        screen_width: 65_535,
        scroll_percent: 255,
        pixel_ratio: 1.5,
        interactive: true,
        props_text: { [text]: text, b: '' },
        props_number: { x: -0.1, y: Number.MAX_SAFE_INTEGER },
        kp: 4_294_967_295,
        ko: Number.MAX_SAFE_INTEGER,
        ki: 65_535,
      })
      await store().insert(hitsIn([hitBlock([row])]))
      const [stored] = await store().query<Record<string, unknown>>(
        `SELECT path, title, hostname, lower(hex(visitor_id)) AS visitor_id, lower(hex(session_id)) AS session_id, hit_id,
           toUnixTimestamp64Milli(time) AS time, toString(value) AS value, event_duration_ms, screen_width, scroll_percent,
           pixel_ratio, interactive, props_text, props_number, kp, ko, ki FROM millrace.hits WHERE site = 'values'`,
      )
      const { path, title, hostname, visitor_id, session_id, hit_id, event_duration_ms, screen_width, scroll_percent } =
        row
      expect(stored).toEqual({
        ...{ path, title, hostname, visitor_id, session_id, hit_id, event_duration_ms, screen_width, scroll_percent },
        ...{
          pixel_ratio: 1.5,
          interactive: true,
          props_text: row.props_text,
          props_number: row.props_number,
          kp: row.kp,
          ki: row.ki,
        },
        time: '-1',
        value: '-12345678901.2345',
        ko: String(row.ko),
      })
    })

    it('gives defaults for columns that older blocks lack, beside blocks that have them', async () => {
      const { tags, props_text, request_ms, sender, ...older } = HIT_COLUMNS
      const missing = Object.keys({ tags, props_text, request_ms, sender })
      expect(missing).toHaveLength(4)
      const rows = (title: string) => [hitRow('2026-04-02', { site: 'older', title, tags: { a: 'b' }, sender: 's' })]
      await store().insert(
        hitsIn([hitBlock(rows('1 old'), older), hitBlock(rows('2 new')), hitBlock(rows('3 old'), older)]),
      )
      expect(
        await store().query(`SELECT title, tags, sender FROM millrace.hits WHERE site = 'older' ORDER BY title`),
      ).toEqual([
        { title: '1 old', tags: {}, sender: '' },
        { title: '2 new', tags: { a: 'b' }, sender: 's' },
        { title: '3 old', tags: {}, sender: '' },
      ])
    })

    it('refuses blocks with columns that the table lacks, and bytes that are no blocks', async () => {
      const row = { ...hitRow('2026-04-02', { site: 'newer' }), colour: 'red' }
      const newer = hitBlock([row], { ...HIT_COLUMNS, colour: 'String' })
      const torn = hitBlock([hitRow('2026-04-02', { site: 'newer' })]).subarray(0, -20)
      for (const bytes of [newer, torn, Buffer.from('hello')]) {
        await expect(store().insert(hitsIn([bytes]))).rejects.toThrow(StoreRefused)
      }
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'newer'`)).toEqual([{ n: '0' }])
    })

    it('does nothing for no rows', async () => {
      await store().insert(hitsIn([]))
      await store().insert(hitsIn([Buffer.alloc(0)]))
    })

    it('takes the same rows twice: nothing is taken for a repetition', async () => {
      const blocks = [hitBlock([hitRow('2026-04-03', { site: 'twice' })])]
      await store().insert(hitsIn(blocks))
      await store().insert(hitsIn(blocks))
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'twice'`)).toEqual([{ n: '2' }])
    })

    it('fails when a view fails, and says so', async () => {
      await store().command(
        `CREATE MATERIALIZED VIEW millrace.broken TO millrace.daily_pages AS
         SELECT site, day, throwIf(path = '/boom') AS page_views FROM millrace.hits_in WHERE site = 'boom'`,
      )
      try {
        const rows = [hitRow('2026-04-04', { site: 'boom', path: '/boom' })]
        await expect(store().insert(hitsIn([hitBlock(rows)]))).rejects.toThrow(StoreRefused)
      } finally {
        await store().command('DROP TABLE millrace.broken')
      }
    })
  })
}

const watermark = async (store: Store, table: string, kp: number): Promise<number> => {
  const rows = await store.query<{ ko: string }>(
    `SELECT maxMap(wm)[${kp}] AS ko FROM millrace.${table} WHERE site = ''`,
  )
  return Number(rows[0]!.ko)
}

/** Parts of `table` that hold rows of `site`, by month. */
async function partsByMonth(store: Store, table: string, site: string): Promise<Record<string, number>> {
  const rows = await store.query<{ month: number; parts: string }>(
    `SELECT toYYYYMM(day) AS month, uniqExact(_part) AS parts FROM millrace.${table} WHERE site = '${site}' GROUP BY month`,
  )
  return Object.fromEntries(rows.map(({ month, parts }) => [month, Number(parts)]))
}

function* times<T>(count: number, make: (i: number) => T): Generator<T> {
  for (let i = 0; i < count; i++) yield make(i)
}

function parts(store: () => Store): void {
  describe('one insert', () => {
    it('makes one part per target and month, of however many blocks', async () => {
      const site = 'parts'
      const day = (i: number): string => (i % 2 === 0 ? '2026-05-31' : '2026-06-01')
      // More distinct paths than a block of a query's result has by default, and than one-level grouping holds
      const hits = Array.from({ length: 60 }, (_, b) =>
        hitBlock(
          times(2_500, (i) => hitRow(day(i), { site, path: `/${b}/${i}`, visitor_id: `00000000${hex(b)}${hex(i)}` })),
        ),
      )
      const sessions = Array.from({ length: 30 }, (_, b) =>
        sessionBlock(times(2_500, (i) => sessionRow(day(i), { site, session_id: `00000000${hex(b)}${hex(i)}` }))),
      )
      await store().insert(hitsIn(hits))
      await store().insert(sessionsIn(sessions))
      for (const table of ['hits', 'daily_hits', 'daily_pages', 'sessions', 'daily_sessions']) {
        expect([table, await partsByMonth(store(), table, site)]).toEqual([table, { 202605: 1, 202606: 1 }])
      }
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = '${site}'`)).toEqual([
        { n: '150000' },
      ])
    })

    it('makes one part of the longest rows that are allowed', async () => {
      const site = 'long'
      const long = (n: number): string => 'ä'.repeat(n / 2)
      const props = Object.fromEntries([...times(30, (i) => [`${i}`.padEnd(64, 'k'), long(2_048)] as const)])
      const tags = Object.fromEntries([...times(20, (i) => [`${i}`.padEnd(64, 'k'), long(512)] as const)])
      const row = (i: number) =>
        hitRow('2026-07-01', {
          site,
          path: `/${i}${long(4_000)}`,
          referrer: long(4_096),
          title: long(1_024),
          props_text: props,
          tags,
        })
      const blocks = Array.from({ length: 8 }, (_, b) => hitBlock(times(100, (i) => row(b * 100 + i))))
      const bytes = blocks.reduce((sum, block) => sum + block.length, 0)
      expect(bytes).toBeGreaterThan(64 * 1024 * 1024)
      await store().insert(hitsIn(blocks))
      for (const table of ['hits', 'daily_hits', 'daily_pages']) {
        expect([table, await partsByMonth(store(), table, site)]).toEqual([table, { 202607: 1 }])
      }
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = '${site}'`)).toEqual([
        { n: '800' },
      ])
    })
  })
}

const hex = (n: number): string => n.toString(16).padStart(4, '0')

function missing(store: () => Store): void {
  describe('insertMissing', () => {
    const kps = [201, 202]
    const months = ['2026-08-31', '2026-09-01']
    const hits = kps.flatMap((kp) =>
      months.map((date) =>
        hitBlock([
          ...times(50, (i) =>
            hitRow(date, {
              site: 'fill',
              path: `/${i % 7}`,
              kp,
              ko: i,
              visitor_id: `000000000000${hex(i % 11)}`,
              type: i % 3 ? 'page_view' : 'event',
            }),
          ),
          hitMarker(date, kp, 49),
        ]),
      ),
    )
    const sessions = kps.flatMap((kp) =>
      months.map((date) =>
        sessionBlock([
          ...times(20, (i) =>
            sessionRow(date, {
              site: 'fill',
              kp,
              ko: i,
              session_id: `0000${hex(kp)}0000${hex(i)}`,
              page_views: i,
              is_bounce: i % 2,
            }),
          ),
          sessionMarker(date, kp, 19),
        ]),
      ),
    )
    const READS: Record<string, string> = {
      hits: `SELECT kp, toYYYYMM(day) AS month, count() AS n, sum(ko) AS s FROM millrace.hits WHERE site = 'fill' GROUP BY kp, month ORDER BY kp, month`,
      daily_hits: `SELECT day, sum(page_views) AS v, sum(events) AS e, uniqCombined64Merge(14)(visitors) AS u FROM millrace.daily_hits WHERE site = 'fill' GROUP BY day ORDER BY day`,
      daily_pages: `SELECT day, path, sum(page_views) AS v FROM millrace.daily_pages WHERE site = 'fill' GROUP BY day, path ORDER BY day, path`,
      sessions: `SELECT kp, toYYYYMM(day) AS month, sum(sign) AS n, sum(sign * page_views) AS v FROM millrace.sessions WHERE site = 'fill' GROUP BY kp, month ORDER BY kp, month`,
      daily_sessions: `SELECT day, sum(sessions) AS n, sum(bounces) AS b, sum(page_views) AS v FROM millrace.daily_sessions WHERE site = 'fill' GROUP BY day ORDER BY day`,
    }
    const slices: Slice[] = kps.flatMap((kp) => [
      { kp, month: 202608 },
      { kp, month: 202609 },
    ])

    it('fills every target as the insert itself would have done, slice by slice', async () => {
      await store().insert(hitsIn(hits))
      await store().insert(sessionsIn(sessions))
      for (const target of await store().targets()) {
        const read = (): Promise<unknown[]> => store().query(READS[target.name]!)
        const expected = await read()
        expect(expected.length).toBeGreaterThan(0)
        await store().command(`TRUNCATE TABLE millrace.${target.name}`)
        const insert = target.source === 'hits_in' ? hitsIn(hits) : sessionsIn(sessions)
        for (const slice of slices) await store().insertMissing(target, insert, [slice])
        expect([target.name, await read()]).toEqual([target.name, expected])
        if (target.name.startsWith('daily')) {
          expect(await watermark(store(), target.name, 201)).toBe(target.source === 'hits_in' ? 49 : 19)
        }
      }
    })

    it('touches no other slice, and makes one part per month', async () => {
      for (const target of await store().targets()) {
        const insert = target.source === 'hits_in' ? hitsIn(hits) : sessionsIn(sessions)
        const wm = target.source === 'hits_in' ? '49' : '19'
        const read = `SELECT toYYYYMM(day) AS month, uniqExact(_part) AS parts FROM millrace.${target.name} GROUP BY month ORDER BY month`
        await store().command(`TRUNCATE TABLE millrace.${target.name}`)
        await store().insertMissing(target, insert, [{ kp: 201, month: 202608 }])
        expect([target.name, await store().query(read)]).toEqual([target.name, [{ month: 202608, parts: '1' }]])
        if (target.name.startsWith('daily')) {
          const marks = await store().query(`SELECT maxMap(wm) AS wm FROM millrace.${target.name}`)
          expect(marks).toEqual([{ wm: { 201: wm } }])
        }
        await store().command(`TRUNCATE TABLE millrace.${target.name}`)
        await store().insertMissing(target, insert, slices)
        expect([target.name, await store().query(read)]).toEqual([
          target.name,
          [
            { month: 202608, parts: '1' },
            { month: 202609, parts: '1' },
          ],
        ])
      }
    })

    it('follows a view that was added later', async () => {
      await store().command(
        'CREATE TABLE millrace.by_country (country LowCardinality(String), n UInt64, kp UInt32) ENGINE = SummingMergeTree ORDER BY (kp, country)',
      )
      await store().command(
        `CREATE MATERIALIZED VIEW millrace.by_country_view TO millrace.by_country AS
         SELECT count() AS n, kp, country FROM millrace.hits_in WHERE verdict = 'keep' GROUP BY country, kp`,
      )
      try {
        const target = (await store().targets()).find((t) => t.name === 'by_country')!
        expect(target.columns).toEqual(['n', 'kp', 'country'])
        const rows = [
          hitRow('2026-10-01', { site: 'later', country: 'AT', kp: 5 }),
          hitRow('2026-10-01', { site: 'later', kp: 6 }),
        ]
        await store().insertMissing(target, hitsIn([hitBlock(rows)]), [{ kp: 5, month: 202610 }])
        expect(await store().query('SELECT * FROM millrace.by_country')).toEqual([{ country: 'AT', n: '1', kp: 5 }])
      } finally {
        await store().command('DROP TABLE millrace.by_country_view')
        await store().command('DROP TABLE millrace.by_country')
      }
    })
  })
}

function deadlines(store: () => Store): void {
  describe('a deadline in the log_comment', () => {
    const comment = async (inMs: number): Promise<string> =>
      `flush=f1 attempt=1 table=x deadline=${(await store().nowMs()) + inMs}`
    const hits = [hitBlock([hitRow('2026-10-02', { site: 'deadline', kp: 301 }), hitMarker('2026-10-02', 301, 0)])]
    const sessions = [
      sessionBlock([sessionRow('2026-10-02', { site: 'deadline', kp: 301 }), sessionMarker('2026-10-02', 301, 0)]),
    ]
    const late = expect.objectContaining({
      name: 'StoreRefused',
      code: VIOLATED_CONSTRAINT,
      type: 'VIOLATED_CONSTRAINT',
    })
    const slices = [{ kp: 301, month: 202610 }]

    it('refuses what comes later, through the views', async () => {
      await expect(store().insert(hitsIn(hits, await comment(-1)))).rejects.toEqual(late)
      await expect(store().insert(sessionsIn(sessions, await comment(-1)))).rejects.toEqual(late)
    })

    it('refuses what comes later, past the views, in every target', async () => {
      for (const target of await store().targets()) {
        const insert =
          target.source === 'hits_in' ? hitsIn(hits, await comment(-1)) : sessionsIn(sessions, await comment(-1))
        await expect(store().insertMissing(target, insert, slices), target.name).rejects.toEqual(late)
        expect(await store().query(`SELECT count() AS n FROM millrace.${target.name} WHERE site = 'deadline'`)).toEqual(
          [{ n: '0' }],
        )
      }
    })

    it('lets pass what comes in time, and what has none', async () => {
      await store().insert(hitsIn(hits, await comment(60_000)))
      await store().insert(hitsIn(hits, 'rebuild of 2026-10'))
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'deadline'`)).toEqual([
        { n: '2' },
      ])
    })

    it('does not speak for the next insert', async () => {
      await expect(store().insert(hitsIn(hits, await comment(-1)))).rejects.toEqual(late)
      await store().insert(hitsIn(hits))
      await store().command(`INSERT INTO millrace.hits (site, day) VALUES ('deadline', '2026-10-02')`)
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'deadline'`)).toEqual([
        { n: '4' },
      ])
    })
  })
}

function statements(store: () => Store): void {
  describe('query and command', () => {
    it('bind parameters of every kind, whatever is in them', async () => {
      const params = {
        text: `it's \\ "quoted" \t\n\r\0 {x:String} 🦊`,
        list: [`a'b`, 'c\\', ''],
        n: 18,
        big: 2n ** 63n,
        yes: true,
        many: [1, 2],
      }
      const [row] = await store().query(
        `SELECT {text:String} AS text, {list:Array(String)} AS list, {n:UInt8} AS n, {big:UInt64} AS big, {yes:Bool} AS yes,
           {many:Array(UInt32)} AS many, {none:Nullable(String)} AS none`,
        { params: { ...params, none: null } },
      )
      expect(row).toEqual({ ...params, big: String(2n ** 63n), none: null })
    })

    it('bind a parameter that is longer than a URL may be', async () => {
      const ids = Array.from({ length: 5_000 }, (_, i) => String(2n ** 63n + BigInt(i)))
      const sql = 'SELECT length({ids:Array(UInt64)}) AS n, {ids:Array(UInt64)}[-1] AS last, {text:String} AS text'
      const params = { ids: `[${ids.join()}]`, text: `it's\n${'x'.repeat(20_000)}` }
      expect(await store().query(sql, { params })).toEqual([{ n: '5000', last: ids.at(-1), text: params.text }])
    })

    it('refuse a parameter without a value, though an earlier statement gave one', async () => {
      for (let i = 0; i < 4; i++) await store().query('SELECT {a:String} AS a', { params: { a: 'left over' } })
      for (let i = 0; i < 4; i++) {
        await expect(store().query('SELECT {a:String} AS a')).rejects.toEqual(expect.objectContaining({ code: 456 }))
      }
    })

    it('forget settings after the statement, failed ones too', async () => {
      const setting = (): Promise<unknown[]> =>
        store().query(`SELECT getSetting('max_rows_to_read') AS n, getSetting('session_timezone') AS z`)
      const [before] = await setting()
      const settings = { max_rows_to_read: 5, session_timezone: 'Asia/Tokyo' }
      for (let i = 0; i < 4; i++) {
        await store().query('SELECT 1', { settings })
        await expect(store().query('SELECT count() FROM numbers(1000)', { settings })).rejects.toThrow(StoreRefused)
      }
      for (let i = 0; i < 4; i++) expect(await setting()).toEqual([before])
    })

    it('give 64-bit integers as text, others as numbers, and null for what is no number', async () => {
      expect(
        await store().query(
          'SELECT toUInt64(18446744073709551615) AS a, toInt64(-1) AS b, toUInt32(7) AS c, 0 / 0 AS d',
        ),
      ).toEqual([{ a: '18446744073709551615', b: '-1', c: 7, d: null }])
    })

    it('run side by side', async () => {
      const controller = new AbortController()
      const slow = store().query('SELECT sum(sleepEachRow(0.05)) FROM numbers(1200) SETTINGS max_block_size = 1', {
        signal: controller.signal,
      })
      slow.catch(() => undefined)
      const running = (): Promise<unknown[]> =>
        store().query(`SELECT 1 FROM system.processes WHERE query LIKE 'SELECT sum(sleepEachRow(0.05))%'`)
      while ((await running()).length === 0);
      controller.abort(new Error('enough'))
      await expect(slow).rejects.toThrow('enough')
      while ((await running()).length > 0);
    })

    it('say what was refused by code and name, and keep texts that quote data out of the message', async () => {
      const refused = await store()
        .query(`SELECT toUInt32('secret data')`)
        .catch((error: unknown) => error)
      expect(refused).toBeInstanceOf(StoreRefused)
      expect(refused).toMatchObject({ code: 6, type: 'CANNOT_PARSE_TEXT' })
      expect(`${(refused as Error).message} ${JSON.stringify(refused)} ${(refused as Error).stack}`).not.toContain(
        'secret',
      )
      expect((refused as StoreRefused).detail).toContain('secret')
      await expect(store().command('SELECT (')).rejects.toMatchObject({ type: 'SYNTAX_ERROR' })
    })

    it('tell the time of the store', async () => {
      const before = await store().nowMs()
      const [row] = await store().query<{ t: string }>('SELECT toUnixTimestamp64Milli(now64(3)) AS t')
      expect(before).toBeLessThanOrEqual(Number(row!.t))
      expect(Number(row!.t)).toBeLessThanOrEqual(await store().nowMs())
    })
  })
}

function endings(store: () => Store): void {
  describe('killInserts', () => {
    it('resolves when no such insert runs or can begin any more, and leaves others', async () => {
      await store().command(
        `CREATE MATERIALIZED VIEW millrace.slow TO millrace.daily_pages AS
         SELECT site, day, sleepEachRow(0.05) AS page_views FROM millrace.hits_in WHERE site = 'slow'`,
      )
      try {
        const blockOf = (kp: number) => hitBlock(times(20, () => hitRow('2026-11-01', { site: 'slow', kp })))
        const kps: Record<string, number> = { one: 401, two: 402 }
        const settled: string[] = []
        const start = (flush: string): Promise<unknown> => {
          const insert = store().insert(hitsIn([blockOf(kps[flush]!)], `flush=${flush} attempt=1 table=hits_in`))
          return insert.catch(() => undefined).finally(() => settled.push(flush))
        }
        // What an insert that was ended has stored may be there or not, but does not grow any more.
        const storedOfOne = (): Promise<unknown[]> =>
          store().query(`SELECT count() AS hits
            FROM millrace.hits WHERE site = 'slow' AND kp = 401`)
        const all = [start('one')]
        const running = (): Promise<unknown[]> =>
          store().query(`SELECT 1 FROM system.processes WHERE Settings['log_comment'] LIKE 'flush=one%'`)
        while ((await running()).length === 0 && settled.length === 0);
        all.push(start('one'), start('two'))
        await store().killInserts('flush=three')
        expect(settled).toEqual([])
        await store().killInserts('flush=one')
        await new Promise(setImmediate)
        expect(settled.filter((flush) => flush === 'one')).toHaveLength(2)
        const [before] = await storedOfOne()
        await store().killInserts('flush=one')
        await Promise.all(all)
        expect(settled).toContain('two')
        expect((await storedOfOne())[0]).toMatchObject({ hits: (before as { hits: string }).hits })
        expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'slow' AND kp = 402`)).toEqual([
          { n: '20' },
        ])
      } finally {
        await store().command('DROP TABLE millrace.slow')
      }
      await store().insert(hitsIn([hitBlock([hitRow('2026-11-01', { site: 'after' })])]))
      expect(await store().query(`SELECT count() AS n FROM millrace.hits WHERE site = 'after'`)).toEqual([{ n: '1' }])
    })
  })

  describe('close', () => {
    it('ends the store: later calls throw StoreUnavailable', async () => {
      await store().close()
      await store().close()
      const calls = [
        store().query('SELECT 1'),
        store().command('SELECT 1'),
        store().nowMs(),
        store().targets(),
        store().killInserts('x'),
      ]
      const inserts = [store().insert(hitsIn([hitBlock([hitRow('2026-11-02')])]))]
      for (const call of await Promise.allSettled([...calls, ...inserts])) {
        expect(call).toMatchObject({ status: 'rejected', reason: expect.any(StoreUnavailable) })
      }
    })
  })
}
