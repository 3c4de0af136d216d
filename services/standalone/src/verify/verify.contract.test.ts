import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type CountedFolder, openCountedFolder, SETTINGS, someVisits } from './counted-folder.suite.ts'
import type { CheckName, VerifyReport } from './findings.ts'
import { verify } from './verify.ts'

let folder: CountedFolder
beforeAll(async () => {
  folder = await openCountedFolder()
  await folder.count(someVisits())
})
afterAll(() => folder.close())

const run = (): Promise<VerifyReport> =>
  verify({ ...folder, settings: SETTINGS, isLive: false, progress: () => undefined })
const wrongIn = ({ checks }: VerifyReport): CheckName[] =>
  checks.filter(({ wrong }) => wrong > 0).map(({ name }) => name)

describe('verify of what nobody has touched', () => {
  it('compares everything and finds no difference', async () => {
    const report = await run()
    expect(report.checks.flatMap(({ examples }) => examples)).toEqual([])
    expect(report).toMatchObject({ ok: true, not_compared: [] })
    expect(report.checks.filter(({ compared }) => compared === 0)).toEqual([])
    expect(report.checks.map(({ name }) => name)).toHaveLength(10)
    expect(report.facts.raw_hits).toBe(report.facts.rows)
    expect(report.facts.raw_hits).toBeGreaterThan(100)
  })
})

const ONE_HIT = `(kp, ko, ki) IN (SELECT kp, ko, ki FROM millrace.hits WHERE site = 'blog' AND type = 'page_view' AND verdict = 'keep' AND session_id != 0 AND NOT late ORDER BY kp, ko, ki LIMIT 1)`
const ONE_SESSION = `session_id = (SELECT max(session_id) FROM millrace.sessions WHERE site = 'blog')`

/** What is planted, in which table, and who has to see it with which words. */
const PLANTED: readonly [what: string, table: string, sql: string, seenBy: readonly CheckName[], says: RegExp][] = [
  [
    'a hit row is deleted',
    'hits',
    `ALTER TABLE millrace.hits DELETE WHERE ${ONE_HIT}`,
    [
      'I1 every raw hit of the log has its row',
      'I2 a raw hit has one row',
      'I3 daily_hits equals a recount of hits',
      'I3 daily_pages equals a recount of hits',
      'I5 sessions equal a recount of their hits',
    ],
    /hit \d+\/\d+\/\d+: the log has this hit, hits has no row/,
  ],
  [
    'a hit row is there twice',
    'hits',
    `INSERT INTO millrace.hits SELECT * FROM millrace.hits WHERE ${ONE_HIT}`,
    ['I1 every raw hit of the log has its row', 'I2 a raw hit has one row', 'I3 daily_hits equals a recount of hits'],
    /hits, kp \d+, raw offset \d+: \d hits, \d rows/,
  ],
  [
    'a whole block is inserted twice',
    'hits',
    'INSERT INTO millrace.hits SELECT * FROM millrace.hits WHERE kp = 4096 AND ko BETWEEN 3 AND 20',
    [
      'I2 a raw hit has one row',
      'I3 daily_pages equals a recount of hits',
      'I5 sessions equal a recount of their hits',
    ],
    /kp 4096, raw offset 3: /,
  ],
  [
    'a row is there that no log brought',
    'hits',
    `INSERT INTO millrace.hits SELECT * REPLACE (toUInt16(99) AS ki) FROM (SELECT * FROM millrace.hits WHERE ${ONE_HIT})`,
    ['I1 every raw hit of the log has its row', 'I2 a raw hit has one row'],
    /a row that the log has no hit for/,
  ],
  [
    'a hit row is of another session',
    'hits',
    `ALTER TABLE millrace.hits UPDATE is_bot = NOT is_bot, late = true WHERE ${ONE_HIT}`,
    ['I5 hits equal the independent recount of the log', 'I3 daily_hits equals a recount of hits'],
    /late expected false, stored true/,
  ],
  [
    'a duplicate is kept',
    'hits',
    `ALTER TABLE millrace.hits UPDATE verdict = 'keep' WHERE verdict = 'duplicate'`,
    ['I5 hits equal the independent recount of the log', 'I3 daily_hits equals a recount of hits'],
    /verdict expected duplicate, stored keep/,
  ],
  [
    'a rollup counts one too many',
    'daily_hits',
    `INSERT INTO millrace.daily_hits (site, day, is_bot, page_views) SELECT site, day, is_bot, 1 FROM millrace.daily_hits WHERE site = 'shop' LIMIT 1`,
    ['I3 daily_hits equals a recount of hits'],
    /daily_hits: site shop, day \d{4}-\d\d-\d\d, is_bot \w+: page_views expected \d+, stored \d+/,
  ],
  [
    'a sketch knows a visitor whom nobody sent',
    'daily_hits',
    `INSERT INTO millrace.daily_hits (site, day, is_bot, visitors) SELECT site, day, is_bot, uniqCombined64State(14)(toUInt64(42)) FROM millrace.daily_hits WHERE site = 'blog' GROUP BY site, day, is_bot LIMIT 1`,
    ['I3 daily_hits equals a recount of hits'],
    /visitors expected \d+, stored \d+/,
  ],
  [
    'a page is missing in its rollup',
    'daily_pages',
    `ALTER TABLE millrace.daily_pages DELETE WHERE site = 'blog' AND path = '/page/1'`,
    ['I3 daily_pages equals a recount of hits'],
    /daily_pages: site blog, .*path \/page\/1: page_views expected \d+, stored 0/,
  ],
  [
    'a session is dropped',
    'sessions',
    `ALTER TABLE millrace.sessions DELETE WHERE ${ONE_SESSION}`,
    [
      'I3 daily_sessions equals a recount of sessions',
      'I5 sessions equal a recount of their hits',
      'I5 sessions equal the independent recount of the log',
    ],
    /session [0-9A-Fa-f]{16}, site blog: \d+ hits are of it, and it is not stored/,
  ],
  [
    'a session has two states',
    'sessions',
    `INSERT INTO millrace.sessions SELECT * REPLACE (version + 1 AS version) FROM (SELECT * FROM millrace.sessions WHERE ${ONE_SESSION} AND sign = 1)`,
    ['I3 daily_sessions equals a recount of sessions', 'I5 sessions equal a recount of their hits'],
    /2 states are stored/,
  ],
  [
    'a session was engaged for longer',
    'sessions',
    `ALTER TABLE millrace.sessions UPDATE engaged_ms = engaged_ms + 1 WHERE site = 'blog'`,
    ['I5 sessions equal the independent recount of the log'],
    /engaged_ms expected \d+, stored \d+/,
  ],
  [
    'a watermark speaks of less than the plan',
    'daily_pages',
    `ALTER TABLE millrace.daily_pages DELETE WHERE site = ''`,
    ['I6 nothing below the plan is missing'],
    /daily_pages, kp 4096, month \d{6}: marked up to raw offset -1, the log fills it up to 39/,
  ],
]

describe('verify after something was planted', () => {
  it.each(PLANTED)('sees that %s', async (_what, table, sql, seenBy, says) => {
    const { store } = folder
    const settings = { mutations_sync: 2 }
    await store.command(`CREATE TABLE millrace.kept AS millrace.${table}`)
    await store.command(`INSERT INTO millrace.kept SELECT * FROM millrace.${table}`)
    try {
      await store.command(sql, { settings })
      const report = await run()
      expect(wrongIn(report)).toEqual(expect.arrayContaining([...seenBy]))
      expect(report.ok).toBe(false)
      expect(report.checks.flatMap(({ examples }) => examples).join('\n')).toMatch(says)
    } finally {
      await store.command(`TRUNCATE TABLE millrace.${table}`)
      await store.command(`INSERT INTO millrace.${table} SELECT * FROM millrace.kept`)
      await store.command('DROP TABLE millrace.kept')
    }
  })

  it('finds nothing when all of it is taken back', async () => {
    expect(wrongIn(await run())).toEqual([])
  })

  it('names no address and no user agent', async () => {
    const { store } = folder
    await store.command('CREATE TABLE millrace.kept AS millrace.hits')
    await store.command('INSERT INTO millrace.kept SELECT * FROM millrace.hits')
    await store.command('TRUNCATE TABLE millrace.hits')
    const told = JSON.stringify(await run())
    await store.command('INSERT INTO millrace.hits SELECT * FROM millrace.kept')
    await store.command('DROP TABLE millrace.kept')
    expect(told).toContain('hits has no row')
    expect(told).not.toMatch(/203\.0\.113|Mozilla/)
  })
})
