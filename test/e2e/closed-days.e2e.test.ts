/** Deletion, rebuild and retention of closed days while hits come in the whole time, and `verify` beside all of it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { PERSON_AGENT, query, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type MovableProduct, startMovableProduct } from './movable-product/start-movable-product.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const PATIENCE_MS = 180_000
const TOKYO_MS = 9 * HOUR_MS
/** 12:00 UTC, when the first hits come. */
const BEGIN = Math.floor(Date.now() / DAY_MS) * DAY_MS - 12 * DAY_MS + 12 * HOUR_MS
/** Ten days later all of their days are closed. */
const LATER = BEGIN + 10 * DAY_MS
/** Noon is 21:00 in Tokyo, and 18:00 is the next day there. */
const OLD_TIMES = [0, 6, 24, 30, 48, 54, 72, 78].map((hours) => BEGIN + hours * HOUR_MS)
const PATHS = ['/', '/secret', '/a', '/secret', '/b']
const VISITORS = 20

const folder = mkdtempSync(join(tmpdir(), 'millrace-closed-'))
let product: MovableProduct
let key = ''
/** Page views by time and path, as they were answered. */
const old: { at: number; path: string }[] = []
let live = 0

beforeAll(async () => {
  product = await startMovableProduct({ dataDir: folder, startAt: BEGIN })
  await ask('POST', '/v1/sites', { id: 'blog' })
  key = ((await ask('POST', '/v1/keys', { scopes: ['ingest'] })) as { key: string }).key
}, PATIENCE_MS)
afterAll(() => {
  product?.kill()
  rmSync(folder, { recursive: true, force: true })
})

async function ask(method: string, path: string, body?: object): Promise<Record<string, unknown>> {
  const answer = await fetch(product.url + path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${text}`)
  return JSON.parse(text) as Record<string, unknown>
}

/** Page views of one visitor, as its server sends them. */
async function send(visitor: number, paths: readonly string[]): Promise<void> {
  const hits = paths.map((path) => ({
    site: 'blog',
    url: `https://example.com${path}`,
    ip: `192.0.2.${visitor}`,
    user_agent: PERSON_AGENT,
    headers: { 'accept-language': 'de', accept: 'text/html' },
  }))
  const answer = await fetch(`${product.url}/v1/hits`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${key}` },
    body: JSON.stringify({ hits }),
  })
  expect([answer.status, await answer.json()]).toEqual([202, { accepted: paths.length }])
}

/** Moves the clock of the product, and waits until it says so. */
async function moveTo(now: number): Promise<void> {
  product.setClock(now)
  const report = { site: 'blog', period: '24h', metrics: ['page_views'] }
  await waitUntil('the clock has moved', async () => {
    const { query: asked } = (await ask('POST', '/v1/query', report)) as { query: { to: string } }
    return Date.parse(asked.to) >= now
  })
}

/** Hits of now, one request after another, until it is told to end. The clock goes on. */
function stream(): { end: () => Promise<void> } {
  let ending = false
  const began = performance.now()
  const running = (async () => {
    for (let n = 0; !ending; n++) {
      product.setClock(Math.floor(LATER + performance.now() - began))
      await send(n % VISITORS, ['/live', '/live/2', '/live/3'])
      live += 3
      await sleep(25)
    }
  })()
  running.catch(() => {})
  return {
    async end() {
      ending = true
      await running
    },
  }
}

interface Report {
  readonly checks: readonly { name: string; compared: number; wrong: number; examples: readonly string[] }[]
}

/** `millrace verify` of the product as it is now. */
async function verify(): Promise<Report> {
  const headers = { 'content-type': 'application/json' }
  const text = await (await fetch(`${product.url}/v1/verify`, { method: 'POST', headers, body: '{}' })).text()
  const last = JSON.parse(text.trim().split('\n').at(-1)!) as { report?: Report; error?: string }
  if (!last.report) throw new Error(`verify: ${last.error}`)
  return last.report
}

/** Whatever is under way, nothing differs; and when nothing is under way, the days of the site were among what was compared. */
async function expectNoDifference(): Promise<void> {
  const isCompared = await waitUntil(
    'the site is compared',
    async () => {
      const { checks } = await verify()
      const wrong = checks.filter((check) => check.wrong > 0)
      const rollup = checks.find(({ name }) => name.startsWith('I3 daily_hits'))
      return wrong.length > 0 || rollup!.compared > 0 ? { wrong } : null
    },
    PATIENCE_MS,
  )
  expect(isCompared).toEqual({ wrong: [] })
}

const dateOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Page views by day and path of all that is not of the stream, as a report tells them. */
async function reported(zone: string): Promise<Record<string, number>> {
  const { rows } = await query(product.url, {
    site: 'blog',
    period: { from: dateOf(BEGIN - 3 * DAY_MS), to: dateOf(BEGIN + 6 * DAY_MS) },
    timezone: zone,
    metrics: ['page_views'],
    dimensions: ['day', 'path'],
  })
  return Object.fromEntries(rows.map(({ day, path, page_views }) => [`${day} ${path}`, page_views as number]))
}

/** The same from what was answered. */
function expected(offsetMs: number, isKept: (view: { at: number; path: string }) => boolean): Record<string, number> {
  const counted: Record<string, number> = {}
  for (const view of old.filter(isKept)) {
    const name = `${dateOf(view.at + offsetMs)} ${view.path}`
    counted[name] = (counted[name] ?? 0) + 1
  }
  return counted
}

async function rebuild(): Promise<Record<string, unknown>> {
  const begun = await waitUntil(
    'a rebuild begins',
    async () => {
      const answer = await ask('POST', '/v1/sites/blog/rebuild').catch(() => null)
      return answer?.state === 'running' ? answer : null
    },
    PATIENCE_MS,
  )
  return waitUntil(
    'it is done',
    async () => {
      const status = await ask('GET', '/v1/sites/blog/rebuild')
      return status.state === 'done' && status.id === begun.id ? status : null
    },
    PATIENCE_MS,
  )
}

test(
  'totals equal the recount, before and after, and no hit of the stream is lost or counted twice',
  async () => {
    for (const at of OLD_TIMES) {
      await moveTo(at)
      await Promise.all(Array.from({ length: VISITORS }, (_, visitor) => send(visitor, PATHS)))
      for (let visitor = 0; visitor < VISITORS; visitor++) for (const path of PATHS) old.push({ at, path })
    }
    const whole = async (): Promise<number> => Object.values(await reported('UTC')).reduce((a, b) => a + b, 0)
    await waitUntil('all of them are counted', async () => (await whole()) === old.length, PATIENCE_MS)
    await moveTo(LATER)
    const hits = stream()

    expect(await reported('UTC')).toEqual(expected(0, () => true))
    await expectNoDifference()

    const isOpen = ({ path }: { path: string }): boolean => path !== '/secret'
    const filter = { dimension: 'path', is: ['/secret'] }
    const to = new Date(BEGIN + 6 * DAY_MS).toISOString()
    const deleted = await ask('POST', '/v1/sites/blog/deletions', { filter, to })
    expect(deleted).toMatchObject({ state: 'hidden', page_views: old.filter((view) => !isOpen(view)).length })
    expect(await reported('UTC')).toEqual(expected(0, isOpen))
    await expectNoDifference()
    await waitUntil(
      'they are off the disk',
      async () => {
        const { deletions } = (await ask('GET', '/v1/sites/blog/deletions')) as { deletions: { state: string }[] }
        return deletions[0]!.state === 'done'
      },
      PATIENCE_MS,
    )
    expect(await reported('UTC')).toEqual(expected(0, isOpen))
    await expectNoDifference()

    await ask('PATCH', '/v1/sites/blog', { timezone: 'Asia/Tokyo' })
    expect(Number((await rebuild()).hits_moved)).toBeGreaterThan(0)
    expect(await reported('Asia/Tokyo')).toEqual(expected(TOKYO_MS, isOpen))
    await expectNoDifference()

    await ask('PATCH', '/v1/sites/blog', { retention_days: 9 })
    const isYoung = ({ at }: { at: number }): boolean => dateOf(at + TOKYO_MS) > dateOf(BEGIN + TOKYO_MS)
    const { keep_from, hits_deleted } = await rebuild()
    expect([keep_from, hits_deleted]).toEqual([
      dateOf(BEGIN + TOKYO_MS + DAY_MS),
      old.filter((view) => isOpen(view) && !isYoung(view)).length,
    ])
    expect(await reported('Asia/Tokyo')).toEqual(expected(TOKYO_MS, (view) => isOpen(view) && isYoung(view)))
    await expectNoDifference()

    await hits.end()
    expect(live).toBeGreaterThan(0)
    // Who asks for so much in so short a time may be taken for a bot.
    const counted = { site: 'blog', period: '7d', metrics: ['page_views'], dimensions: ['path'], include_bots: true }
    const ofStream = async (): Promise<number> => {
      const { rows } = await query(product.url, { ...counted, filter: { dimension: 'path', contains: ['/live'] } })
      return rows.reduce((sum, row) => sum + (row.page_views as number), 0)
    }
    await waitUntil('the stream is counted', async () => (await ofStream()) >= live, PATIENCE_MS)
    expect(await ofStream()).toBe(live)
    await expectNoDifference()
  },
  3 * PATIENCE_MS,
)
