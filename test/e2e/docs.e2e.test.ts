import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type Product, startProduct } from '@millrace/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

const api = readFileSync(new URL('../../docs/reference/http-api.md', import.meta.url), 'utf8')
/** Blocks that begin with a line such as: ```json POST /v1/hits */
const examples = [...api.matchAll(/```json POST (\S+)\n([\s\S]*?)```/g)].map(([, path, body]) => ({
  path: path!,
  body: body!,
}))

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

test('there are examples of hits, of queries and of reports', () => {
  const reports = ['/v1/reports/funnel', '/v1/reports/event_properties']
  expect(new Set(examples.map(({ path }) => path))).toEqual(new Set(['/v1/hits', '/v1/query', ...reports]))
})

test.each(examples)('the example of $path works (%#)', async ({ path, body }) => {
  const answer = await fetch(product.url + path, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body,
  })
  const text = await answer.text()
  expect(answer.status, text).toBe(path === '/v1/hits' ? 202 : 200)
  if (path === '/v1/hits') expect(JSON.parse(text)).toEqual({ accepted: JSON.parse(body).hits?.length ?? 1 })
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
