import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type Product, postHits, runMillrace, startProduct, waitUntil } from '@millrace/testing'
import { afterAll, expect, test } from 'vitest'

const FILTER = JSON.stringify({ dimension: 'path', is: ['/secret'] })
const PATIENCE_MS = 120_000
const folder = mkdtempSync(join(tmpdir(), 'millrace-delete-'))
let product: Product | undefined
afterAll(async () => {
  await product?.kill()
  rmSync(folder, { recursive: true, force: true })
})

const start = async (): Promise<void> => {
  product = startProduct({ dataDir: folder, port: await freePort() })
  await product.ready(PATIENCE_MS)
}

/** What `millrace delete` writes. @throws Error with what it says when it fails */
async function millrace(...args: string[]): Promise<string> {
  const command = ['delete', '--site', 'default', '--url', product!.url]
  const { code, stdout, stderr } = await runMillrace([...command, ...args])
  if (code !== 0) throw new Error(stderr)
  return stdout
}

/** Pages of today by a report, and by SQL. */
async function pages(): Promise<{ report: string[]; sql: string[] }> {
  const search = 'site=default&period=7d&metrics=page_views&dimensions=path&order_by=path:asc'
  const report = (await (await fetch(`${product!.url}/v1/query?${search}`)).json()) as { rows: { path: string }[] }
  const body = "SELECT DISTINCT path FROM page_views WHERE site = 'default' ORDER BY path FORMAT TSV"
  const sql = await (await fetch(`${product!.url}/v1/sql`, { method: 'POST', body })).text()
  return { report: report.rows.map(({ path }) => path), sql: sql.split('\n').filter(Boolean) }
}
const all = { report: ['/', '/secret'], sql: ['/', '/secret'] }
const withoutSecret = { report: ['/'], sql: ['/'] }

test('millrace delete previews, hides at once and for good, and can be taken back while the days are open', async () => {
  await start()
  for (const path of ['/secret', '/', '/secret'])
    await postHits(product!.url, { site: 'default', type: 'page_view', url: `https://example.com${path}` })
  const preview = await waitUntil(
    'the hits are counted',
    async () => {
      const told = JSON.parse(await millrace('--filter', FILTER, '--preview', '--json')) as Record<string, number>
      // Sessions come after the hits that they are of.
      return told.page_views === 2 && told.sessions === 1 && (await pages()).report.length === 2 ? told : null
    },
    PATIENCE_MS,
  )
  expect(preview).toMatchObject({ state: 'preview', events: 0, visitors: 1, sessions: 1, sessions_deleted: 0 })
  expect(await millrace('--filter', FILTER, '--preview')).toMatch(
    /^would delete 2 page views and 0 events of 1 visitors in 1 sessions, 0 of them whole\n\nday .*\n\d{4}-\d\d-\d\d +2 .* no\n$/,
  )
  expect(await pages()).toEqual(all)

  const deleted = await millrace('--filter', FILTER)
  const [, id] = /^deleted 2 page views .*: deletion (\S+)\n$/.exec(deleted)!
  expect(await pages()).toEqual(withoutSecret)
  await product!.kill()
  await start()
  await waitUntil('the store answers', async () => ((await pages()).report.length > 0 ? true : null), PATIENCE_MS)
  expect(await pages()).toEqual(withoutSecret)
  expect(await millrace('--list')).toMatch(new RegExp(`\n${id} +hidden `))
  expect(await millrace('--filter', FILTER)).toMatch(/^nothing to do/)

  expect(await millrace('--undo', id!)).toContain('shows again')
  expect(await pages()).toEqual(all)
  expect(await millrace('--list')).toMatch(new RegExp(`\n${id} +revoked `))
  await expect(millrace('--filter', '{')).rejects.toThrow(/--filter must be JSON/)
})
