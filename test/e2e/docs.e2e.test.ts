import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type Product, startProduct } from '@millrace/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

const pageOf = (name: string): string =>
  readFileSync(new URL(`../../docs/reference/${name}.md`, import.meta.url), 'utf8')
const api = pageOf('http-api')
/** Blocks that begin with a line such as: ```json POST /v1/hits, and the answer that their section shows next. */
const examples = [api, pageOf('sites-and-keys')]
  .flatMap((page) => page.split(/^##+ /m))
  .flatMap((section) => {
    const blocks = [...section.matchAll(/^```json(?: POST (\S+))?\n([\s\S]*?)^```/gm)]
    return blocks.flatMap(([, path, body], i) => {
      const [, another, answer] = blocks[i + 1] ?? []
      return path ? [{ path, body: body!, answer: another === undefined ? answer : undefined }] : []
    })
  })
/** Addresses with parameters that the text names: `GET /v1/query?…`. */
const addresses = [...new Set([...api.matchAll(/`GET (\/\S+\?[^`…\s]+)`/g)].map(([, path]) => path!))]
/** Requests for a shell. */
const [shell] = [...api.matchAll(/^```sh\n([\s\S]*?)^```/gm)].map(([, text]) => text!)

const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
let product: Product

beforeAll(async () => {
  product = startProduct({ dataDir: folder, port: await freePort() })
  await product.ready()
})
afterAll(async () => {
  await product.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('there are examples of hits, of queries, of reports and of deletions', () => {
  const reports = ['/v1/reports/funnel', '/v1/reports/event_properties']
  const all = ['/v1/hits', '/v1/query', ...reports, '/v1/sites/default/deletions']
  expect(new Set(examples.map(({ path }) => path))).toEqual(new Set(all))
  expect(examples.filter(({ answer }) => answer !== undefined).map(({ path }) => path)).toEqual([
    '/v1/query',
    '/v1/sites/default/deletions',
  ])
  expect(addresses.map((path) => path.replace(/\?.*/, ''))).toEqual(['/v1/query', '/v1/reports/places'])
})

/** Names of the fields that an answer has, as deep as the page shows them; of lists, those of their first item. */
function fieldsOf(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return value.length > 0 ? fieldsOf(value[0], `${path}[]`) : []
  if (typeof value !== 'object' || value === null) return [path]
  return Object.entries(value).flatMap(([name, inner]) =>
    // The page shortens what was said before.
    name === 'query' || name === 'filter' ? [`${path}/${name}`] : fieldsOf(inner, `${path}/${name}`),
  )
}

test.each(examples)('the example of $path works (%#)', async ({ path, body, answer: shown }) => {
  const answer = await fetch(product.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const text = await answer.text()
  expect(answer.status, text).toBe(path === '/v1/hits' ? 202 : 200)
  if (path === '/v1/hits') expect(JSON.parse(text)).toEqual({ accepted: JSON.parse(body).hits?.length ?? 1 })
  else if (shown !== undefined) {
    // An answer may have more: what this request asks for besides, and nothing of a day on which nothing was.
    const found = new Set(fieldsOf(JSON.parse(text)))
    const missing = fieldsOf(JSON.parse(shown)).filter((field) => !found.has(field) && !/^\/(id$|days\[\])/.test(field))
    expect(missing, text).toEqual([])
  }
})

test.each(addresses)('GET %s works as JSON and as CSV', async (path) => {
  const url = product.url + path.replace('site=blog', 'site=default')
  const answer = await fetch(url)
  expect(answer.status, await answer.clone().text()).toBe(200)
  expect(Object.keys((await answer.json()) as object)).toContain('rows')
  const csv = await fetch(url, { headers: { accept: 'text/csv' } })
  expect([csv.status, csv.headers.get('content-type')]).toEqual([200, expect.stringContaining('text/csv')])
})

test('the request for a shell works, the other way round too', async () => {
  const [, address, sql] = /^curl '([^']+)' --data-binary \\\n\s+'([^']+)'/.exec(shell!)!
  const url = new URL(address!)
  const answer = await fetch(product.url + url.pathname + url.search, { method: 'POST', body: sql! })
  expect(answer.status, await answer.clone().text()).toBe(200)
  expect(Object.keys((await answer.json()) as object)).toEqual(expect.arrayContaining(['meta', 'data', 'rows']))
})

test('every other address of the page answers as it says', async () => {
  for (const path of ['/livez', '/readyz', '/health', '/metrics']) {
    expect(api).toContain(`| \`GET ${path}\` |`)
    expect((await fetch(product.url + path)).status, path).toBe(200)
  }
  const ledger = (await (await fetch(`${product.url}/v1/ledger`)).json()) as object
  const shown = [...api.matchAll(/^```json\n([\s\S]*?)^```/gm)]
    .map(([, text]) => text!)
    .find((text) => text.includes('"verdict"'))!
  expect(Object.keys(ledger)).toEqual(Object.keys(JSON.parse(shown) as object))
  const pixel = await fetch(`${product.url}/v1/pixel.gif?site=blog`)
  expect([pixel.status, pixel.headers.get('content-type')]).toEqual([200, 'image/gif'])
})

test('what a start prints can be pasted into a shell', async () => {
  const printed = product.lines.map(({ text }) => text).join('\n')
  expect(printed).toContain(`Millrace is ready on ${product.url}`)
  expect(printed.match(/curl http:\/\/127\.0\.0\.1:\d+\/v1\/(hits|query)/g)).toHaveLength(2)
})

test('docs/reference/metrics.md has every metric, its kind and its help, and no other', async () => {
  const text = await (await fetch(`${product.url}/metrics`)).text()
  const kinds = new Map([...text.matchAll(/^# TYPE (millrace_\S+) (\S+)$/gm)].map(([, name, kind]) => [name, kind]))
  const served = [...text.matchAll(/^# HELP (millrace_\S+) (.*)$/gm)].map(
    ([, name, help]) => `| \`${name}\` | ${kinds.get(name)} | ${help} |`,
  )
  const page = readFileSync(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8')
  expect(page.match(/^\| `millrace_.*$/gm)).toEqual(served.sort())
})
