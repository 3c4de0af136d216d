import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  event,
  freePort,
  hitId,
  type Product,
  pageView,
  postHits,
  query,
  startProduct,
  waitUntil,
} from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const folder = mkdtempSync(join(tmpdir(), 'millrace-goals-'))
let product: Product

beforeAll(async () => {
  product = startProduct({ dataDir: folder, port: await freePort() })
  await product.ready()
})
afterAll(async () => {
  await product.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function send(method: string, path: string, body?: object) {
  const answer = await fetch(product.url + path, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? null : JSON.parse(text) }
}

const GOALS = '/v1/sites/blog/goals'
const asked = { site: 'blog', period: '24h', metrics: ['conversions', 'visitors'] }
const page = (n: number, path: string) =>
  pageView({ site: 'blog', hit_id: hitId(n), url: `https://example.com${path}` })

describe('a goal', () => {
  test('that was made over the API is counted, in hits that came before it too', async () => {
    const buy = event({ site: 'blog', hit_id: hitId(4), name: 'buy', props: { plan: 'pro' } })
    const cheap = event({ site: 'blog', hit_id: hitId(5), name: 'buy', props: { plan: 'free' } })
    const hits = [page(1, '/thanks/a'), page(2, '/thanks/b'), page(3, '/'), buy, cheap]
    expect((await postHits(product.url, { hits })).body).toEqual({ accepted: hits.length })
    const before = await waitUntil('the hits are counted', async () => {
      const { totals } = await query(product.url, { ...asked, metrics: [...asked.metrics, 'page_views', 'events'] })
      return totals.page_views === 3 && totals.events === 2 && totals
    })
    expect(before).toMatchObject({ conversions: 0 })

    const signup = { id: 'signup', type: 'page', path: '/thanks/*', name: 'Signed up', value: 2.5, currency: 'EUR' }
    expect(await send('POST', GOALS, signup)).toMatchObject({ status: 201, body: signup })
    const pro = { type: 'event', event_name: 'buy', filter: { dimension: 'props.plan', is: ['pro'] } }
    expect((await send('PUT', `${GOALS}/pro`, pro)).status).toBe(201)

    expect((await query(product.url, asked)).totals).toEqual({ conversions: 3, visitors: 1 })
    expect((await query(product.url, { ...asked, goals: ['pro'] })).totals).toEqual({ conversions: 1, visitors: 1 })
    const report = await send('POST', '/v1/reports/goals', { site: 'blog', period: '24h' })
    expect(report).toMatchObject({
      status: 200,
      body: {
        rows: [
          { goal: 'pro', name: 'pro', type: 'event', conversions: 1, visitors: 1, conversion_rate: 1 },
          { goal: 'signup', name: 'Signed up', type: 'page', conversions: 2, visitors: 1, revenue: 5, currency: 'EUR' },
        ],
        totals: { visitors: 1 },
      },
    })
    expect((await query(product.url, { ...asked, site: 'shop' })).totals).toEqual({ conversions: 0, visitors: 0 })
  })

  test('with a pattern that the engine cannot read is named by who asks for it, and hinders nobody else', async () => {
    const torn = { type: 'event', event_name: 'buy', filter: { dimension: 'props.plan', matches: '(' } }
    expect((await send('PUT', `${GOALS}/torn`, torn)).status).toBe(201)
    for (const path of ['/v1/query', '/v1/reports/goals']) {
      const body = { site: 'blog', period: '24h', ...(path === '/v1/query' && { metrics: ['conversions'] }) }
      const answer = await send('POST', path, body)
      expect(answer, path).toMatchObject({ status: 400, body: { errors: [{ pointer: '/goals' }] } })
      expect(answer.body.detail).toContain('torn: /filter/matches/0 is not a regular expression')
    }
    expect((await query(product.url, { ...asked, goals: ['pro', 'signup'] })).totals.conversions).toBe(3)
    expect((await query(product.url, { ...asked, metrics: ['visitors'] })).totals).toEqual({ visitors: 1 })
  })

  test('that was removed is counted no more, also after a restart', async () => {
    expect((await send('DELETE', `${GOALS}/torn`)).status).toBe(204)
    expect((await send('DELETE', `${GOALS}/signup`)).status).toBe(204)
    expect((await query(product.url, asked)).totals.conversions).toBe(1)
    await product.kill()
    product = startProduct({ dataDir: folder, port: Number(new URL(product.url).port) })
    await product.ready()
    expect((await query(product.url, asked)).totals.conversions).toBe(1)
  })
})
