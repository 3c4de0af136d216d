import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type EmbeddedLog, type EventLog, type Following, openEmbeddedLog } from '@millrace/log'
import { CONFIG } from '@millrace/shared'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type ConfigBook, openConfigBook } from './config-book.ts'
import { openConfigWriter } from './config-writer.ts'

const DAY_MS = 86_400_000

let dir: string
let log: EmbeddedLog
const clock = new Float64Array(new SharedArrayBuffer(8))
const books: ConfigBook[] = []

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), 'millrace-config-'))
  clock[0] = Date.now()
  log = await openEmbeddedLog({ dir, hitPartitions: 1, clock })
})
afterEach(async () => {
  for (const book of books.splice(0)) await book.close()
  await log.close()
  rmSync(dir, { recursive: true, force: true })
})

const makeTopic = () => log.admin().ensureTopics([CONFIG], 1)
async function open(on: EventLog = log, onProblem?: (problem: string | null) => void): Promise<ConfigBook> {
  const book = await openConfigBook(on, onProblem && { onProblem })
  books.push(book)
  return book
}
const contents = (book: ConfigBook) => [
  new Map(book.sites()),
  new Map(book.keys()),
  book.installationSecret()?.toString('hex'),
  [...book.sites().keys()].map((site) => book.goalsOf(site)),
]

describe('the config book', () => {
  it('cannot be opened before there is the topic, and can be afterwards', async () => {
    await expect(openConfigBook(log)).rejects.toThrow(/millrace\.config/)
    await makeTopic()
    expect((await open()).at()).toBe(-1)
  })

  it('says the same after compaction has taken away all that was written over', async () => {
    await makeTopic()
    const book = await open()
    let now = Date.UTC(2026, 10, 22)
    const writer = openConfigWriter(log, book, () => now++)
    await writer.ensureInstallation(['default'])
    for (let i = 0; i < 20; i++) await writer.putSite('blog', { name: `Blog ${i}` })
    for (const value of [1, 2]) await writer.putGoal('blog', 'paid', { type: 'page', path: '/paid', value }, () => {})
    for (const id of ['gone', 'added']) await writer.addGoal('blog', id, { type: 'duration', duration_ms: 9 }, () => {})
    await writer.removeGoal('blog', 'gone')
    await writer.addGoal('default', 'paid', { type: 'page', path: '/' }, () => {})
    const { key, text } = await writer.addKey({ scopes: ['read'] })
    await writer.addKey({ scopes: ['admin'] })
    await writer.revokeKey(key.id)
    await writer.removeSite('default')
    await writer.close()

    for (const days of [2, 4]) {
      clock[0] = Date.now() + days * DAY_MS
      await log.maintain()
      // A record in a new segment closes the one before.
      const producer = log.producer()
      await producer.append(CONFIG.name, new Map([[0, [{ key: Buffer.from('later/x'), value: Buffer.from('1') }]]]))
      await producer.close()
      await log.maintain()
    }
    let left = 0
    const reader = log.reader()
    for await (const records of reader.read(CONFIG.name, 0, 0, 1_000)) left += records.length
    await reader.close()
    expect(left).toBeLessThan(10)

    const fresh = await open()
    await book.waitFor(fresh.at())
    expect(fresh.settingsOf('blog')!.name).toBe('Blog 19')
    expect(fresh.goalsOf('blog').map(({ id, settings }) => [id, settings.value])).toEqual([
      ['added', undefined],
      ['paid', 2],
    ])
    expect(fresh.goalsOf('default')).toEqual([])
    const { created_at, updated_at } = fresh.goalsOf('blog')[1]!
    expect(Date.parse(updated_at) - Date.parse(created_at)).toBe(1)
    expect([fresh.settingsOf('default'), fresh.keyOf(text)]).toEqual([null, null])
    expect(contents(fresh)).toEqual(contents(book))
    expect(fresh.at()).toBe(book.at())
    await fresh.waitFor(5)
  })

  it('leaves out what a newer program wrote, and what is damaged', async () => {
    await makeTopic()
    const record = (key: string, value: unknown) => ({
      key: Buffer.from(key),
      value: Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    })
    const site = { v: 2, settings: { timezone: 'UTC', colour: 'red' }, created_at: 'x', updated_at: 'x' }
    const producer = log.producer()
    const records = [
      record('site/blog', site),
      record('site/blog2', '{"v":'),
      record('site/../etc', site),
      record('goal/blog/signup', { v: 1 }),
      record('goal/blog/kept', { v: 2, settings: { type: 'page', path: '/' }, weight: 3 }),
      record('goal/blog/narrower', { v: 2, settings: { type: 'page', path: '/', hostname: 'example.com' } }),
      record('goal/blog/luck', { v: 2, settings: { type: 'luck' } }),
      record('goal/blog/a/b', { v: 1, settings: { type: 'page', path: '/' } }),
      record('goal/blog', { v: 1, settings: { type: 'page', path: '/' } }),
      record('key/abc', { v: 1, scopes: ['read', 'fly'], sites: [], hash: 'h' }),
      record('key/abd', { v: 1, scopes: 'read', sites: [], hash: 'h' }),
      record('', 'x'),
      record('installation/a', { v: 1, secret: 'short' }),
    ]
    await producer.append(CONFIG.name, new Map([[0, records]]))
    await producer.close()
    const book = await open()
    expect([...book.sites().keys()]).toEqual(['blog'])
    expect(book.settingsOf('blog')).not.toHaveProperty('colour')
    expect([...book.keys().values()].map(({ id, scopes }) => [id, scopes])).toEqual([['abc', ['read']]])
    expect(book.installationSecret()).toBeNull()
    expect(book.goalsOf('blog').map(({ id }) => id)).toEqual(['kept'])
    expect(book.at()).toBe(12)
  })

  it('goes on by itself when following ends, says so meanwhile, and keeps what it knows', async () => {
    await makeTopic()
    const shaky = new ShakyLog(log)
    const told: (string | null)[] = []
    const book = await open(shaky as unknown as EventLog, (problem) => told.push(problem))
    const writer = openConfigWriter(log, book)
    await writer.putSite('blog', {})
    await writer.addGoal('blog', 'home', { type: 'page', path: '/' }, () => {})
    const before = book.settingsOf('blog')
    const goals = book.goalsOf('blog')
    shaky.break()
    await expect.poll(() => book.problem(), { timeout: 20_000 }).toContain('the broker is gone')
    expect(book.settingsOf('blog')).toBe(before)
    shaky.isBroken = false
    await expect.poll(() => book.problem(), { timeout: 20_000 }).toBeNull()
    expect(book.settingsOf('blog')).toBe(before)
    expect(goals).toHaveLength(1)
    expect(book.goalsOf('blog')).toBe(goals)
    await writer.putSite('shop', {})
    expect(book.settingsOf('shop')).not.toBeNull()
    await writer.close()
    expect(told).toEqual(['millrace.config is not followed: the broker is gone', null])
  })

  it('stops waiting when it is told to', async () => {
    await makeTopic()
    const book = await open()
    await expect(book.waitFor(9, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough')
    const closed = expect(book.waitFor(9)).rejects.toThrow('no longer followed')
    await book.close()
    await closed
    books.length = 0
  })
})

/** The log, but following can end, and then cannot begin. */
class ShakyLog {
  isBroken = false
  readonly #log: EventLog
  #end: (error: Error) => void = () => {}

  constructor(under: EventLog) {
    this.#log = under
  }

  break(): void {
    this.isBroken = true
    this.#end(new Error('the broker is gone'))
  }

  admin() {
    return this.#log.admin()
  }

  reader() {
    const reader = this.#log.reader()
    return {
      ...{ read: reader.read.bind(reader), close: reader.close.bind(reader) },
      follow: (...args: Parameters<typeof reader.follow>): Following => {
        const following = reader.follow(...args)
        const ended = new Promise<never>((_, reject) => {
          this.#end = reject
        })
        ended.catch(() => {})
        if (this.isBroken) this.#end(new Error('the broker is gone'))
        return {
          caughtUp: Promise.race([ended, following.caughtUp]),
          done: Promise.race([ended, following.done]),
          stop: () => following.stop(),
        }
      },
    }
  }
}
