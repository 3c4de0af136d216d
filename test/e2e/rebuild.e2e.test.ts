import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { migrate, openStore, type Store } from '@millrace/store'
import { freePort, type Product, postHits, runMillrace, startProduct, waitUntil } from '@millrace/testing'
import { afterAll, expect, test } from 'vitest'

const HITS = 40_000
const DAY_MS = 86_400_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-rebuild-'))
let product: Product | undefined
afterAll(async () => {
  await product?.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** Hits of sessions of one page view each, from 40 to 10 days ago, on the days of UTC. */
async function fill(store: Store): Promise<void> {
  const from = Date.now() - 40 * DAY_MS
  const time = `fromUnixTimestamp64Milli(toInt64(${from} + number * ${Math.floor((30 * DAY_MS) / HITS)}), 'UTC')`
  await store.command(`INSERT INTO millrace.hits_in (site, day, time, received_at, visitor_id, session_id, hostname, path, kp, ko)
    SELECT 'blog', toDate(${time}, 'UTC'), ${time}, ${time}, number % 97, number, 'example.com', concat('/', toString(number % 7)),
      4095, number FROM numbers(${HITS})`)
  await store.command(`INSERT INTO millrace.sessions_in (site, day, session_id, version, sign, visitor_id, start, end, page_views, is_bounce, kp, ko)
    SELECT 'blog', toDate(${time}, 'UTC'), number, 1, 1, number % 97, ${time}, ${time}, 1, 1, 4095, number
    FROM numbers(${HITS})`)
}

interface OfDay {
  d: string
  n: string
}

/** Sums by day of the rollups, and of a recount of the rows by the clock of a zone. */
async function read(store: Store, zone: string): Promise<Record<string, OfDay[]>> {
  const recount = `SELECT toString(toDate(time, '${zone}')) AS d, count() AS n, uniqExact(visitor_id) AS visitors
    FROM millrace.hits WHERE site = 'blog' GROUP BY d ORDER BY d`
  const rollup = `SELECT toString(day) AS d, sum(page_views) AS n, uniqCombined64Merge(14)(visitors) AS visitors
    FROM millrace.daily_hits WHERE site = 'blog' GROUP BY d ORDER BY d`
  const sums = (table: string, what: string, time = 'day') =>
    `SELECT toString(${time}) AS d, sum(${what}) AS n FROM millrace.${table} WHERE site = 'blog' GROUP BY d ORDER BY d`
  return {
    recount: await store.query<OfDay>(recount),
    rollup: await store.query<OfDay>(rollup),
    byDay: await store.query<OfDay>(sums('hits', '1')),
    pages: await store.query<OfDay>(sums('daily_pages', 'page_views')),
    sessions: await store.query<OfDay>(sums('daily_sessions', 'sessions')),
    recountedSessions: await store.query<OfDay>(sums('sessions', 'sign', `toDate(start, '${zone}')`)),
  }
}

const ask = async (method: string, path: string, body?: object): Promise<Record<string, unknown>> => {
  const answer = await fetch(product!.url + path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  return (await answer.json()) as Record<string, unknown>
}

const start = async (): Promise<void> => {
  product = startProduct({ dataDir: folder, port: await freePort(), sites: [] })
  await product.ready()
}

test('days are rebuilt exactly though the process is killed again and again, and hits come in meanwhile', async () => {
  const before = await openStore({ dataDir: folder })
  await migrate(before)
  await fill(before)
  await before.close()
  await start()
  await ask('POST', '/v1/sites', { id: 'blog' })
  await postHits(product!.url, { site: 'blog', type: 'page_view', url: 'https://example.com/now' })
  let sent = 1

  let zone = ''
  for (const [n, next] of ['Asia/Tokyo', 'America/Los_Angeles'].entries()) {
    zone = next
    await ask('PATCH', '/v1/sites/blog', { timezone: zone })
    const begun = await waitUntil('a rebuild begins', async () => {
      const answer = await ask('POST', '/v1/sites/blog/rebuild')
      return answer.state === 'running' ? answer : null
    })
    // After another number of statements each time; and once on the way of the next start.
    for (const steps of [3 + n * 7, 4 + n]) {
      await waitUntil('some statements are done', async () => {
        const { state, id } = await ask('GET', '/v1/sites/blog/rebuild')
        const done = product!.lines.filter(({ fields }) => fields.rebuild === begun.id && 'step' in fields).length
        return done >= steps || (state === 'done' && id === begun.id) ? true : null
      })
      await product!.kill()
      await start()
    }
    await postHits(product!.url, { site: 'blog', type: 'page_view', url: 'https://example.com/now' })
    sent++
    await waitUntil('the rebuild is done', async () => {
      const { state, id } = await ask('GET', '/v1/sites/blog/rebuild')
      return state === 'done' && id === begun.id ? true : null
    })
  }
  const args = ['rebuild', '--site', 'blog', '--url', product!.url]
  const dry = await runMillrace([...args, '--dry-run'])
  expect(dry.stdout).toMatch(/^would rebuild .* in America\/Los_Angeles: 0 hits and 0 sessions to another day, 0 hits/)
  await ask('PATCH', '/v1/sites/blog', { timezone: 'Europe/Vienna' })
  const run = await runMillrace(args)
  expect(run.stdout).toMatch(
    /^rebuilt .* in Europe\/Vienna: [1-9]\d* hits and [1-9]\d* sessions to another day, 0 hits/,
  )

  expect((await product!.stop()).code).toBe(0)
  const after = await openStore({ dataDir: folder, role: 'read' })
  const all = await read(after, 'Europe/Vienna')
  const [{ n: total }] = (await after.query<{ n: string }>('SELECT count() AS n FROM millrace.hits')) as [{ n: string }]
  await after.close()
  expect(Number(total)).toBe(HITS + sent)
  // Hits of now keep the days that they came with until these are closed.
  const closed = new Date(Date.now() - 5 * DAY_MS).toISOString().slice(0, 10)
  const found = Object.fromEntries(
    Object.entries(all).map(([name, rows]) => [name, rows.filter(({ d }) => d < closed)]),
  )
  expect(found.recount!.length).toBeGreaterThan(30)
  expect(found.rollup).toEqual(found.recount)
  const numbers = found.recount!.map(({ d, n }) => ({ d, n }))
  expect(found.byDay).toEqual(numbers)
  expect(found.pages).toEqual(numbers)
  expect(found.sessions).toEqual(found.recountedSessions)
})
