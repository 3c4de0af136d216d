import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createContext, runInContext } from 'node:vm'
import { freePort, type Product, startProduct } from '@millrace/testing'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { bundle, PACKAGE } from './bundle.fixture.ts'
import { findRuntime } from './runtimes.fixture.ts'

const run = promisify(execFile)
const folder = mkdtempSync(join(tmpdir(), 'millrace-sdk-'))
let product: Product

beforeAll(async () => {
  product = startProduct({ dataDir: join(folder, 'data'), port: await freePort() })
  await product.ready()
})
afterAll(async () => {
  await product?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Longer than anything here takes, shorter than the test: a process that does not end by itself is ended, and fails. */
const LIMIT = { timeout: 100_000, killSignal: 'SIGKILL' } as const

const DONE = {
  settled: true,
  delivered: 153,
  refused: [],
  totals: { page_views: 151, events: 1 },
  code: 'period_invalid',
  unreachable: 'network',
  queued: 1,
  tried: true,
}

describe('the same program', () => {
  test.for(['node', 'bun', 'deno'] as const)('does all it should on %s, and ends by itself', async (name, { skip }) => {
    const runtime = name === 'node' ? { command: process.execPath, args: [] } : await findRuntime(name)
    if (typeof runtime === 'string') return skip(runtime)
    const file = join(folder, `on-${name}.mjs`)
    writeFileSync(file, await bundle({ file: './runtime.child.ts' }))
    const { stdout } = await run(runtime.command, [...runtime.args, file, product.url, `on-${name}.example`], LIMIT)
    expect(JSON.parse(stdout)).toEqual(DONE)
  })

  test('runs where there is only what every edge runtime has', async () => {
    const text = 'export { createMillrace } from "@millrace/sdk"'
    const script = await bundle({ text }, { format: 'iife' })
    const { fetch, crypto, setTimeout, clearTimeout, performance, queueMicrotask, URL, AbortController } = globalThis
    const globals = { fetch, crypto, setTimeout, clearTimeout, performance, queueMicrotask, URL, AbortController }
    const context = createContext({ ...globals, service: product.url, told: null })
    runInContext(
      script.replace('(() => {', 'sdk = (() => {').replace(/\}\)\(\);\s*$/, 'return { createMillrace } })();'),
      context,
    )
    const program = `(async () => {
      const millrace = sdk.createMillrace({ url: service })
      for (let n = 0; n < 120; n++) millrace.pageView({ url: 'https://edge.example/' + n })
      const complete = await millrace.close()
      return JSON.stringify({ complete, stats: millrace.stats() })
    })()`
    const told = JSON.parse(await runInContext(program, context))
    expect(told).toMatchObject({ complete: true, stats: { delivered: 120, retries: 0 } })
  })
})

test('a service that is away costs no more memory than the queue may have', async () => {
  const file = join(folder, 'memory.mjs')
  writeFileSync(file, await bundle({ file: './memory.child.ts' }))
  const { stdout } = await run(process.execPath, ['--max-old-space-size=48', file], LIMIT)
  const { hits, queued, queuedBytes, dropped, told, tried } = JSON.parse(stdout)
  expect(queuedBytes).toBeLessThanOrEqual(8 * 1024 * 1024)
  expect(queued).toBeGreaterThan(3_000)
  expect(queued + dropped).toBe(hits)
  expect(told).toBe(dropped)
  expect(tried).toBe(true)
})

describe('README.md', () => {
  const readme = readFileSync(join(PACKAGE, 'README.md'), 'utf8')
  const examples = [...readme.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, text]) => text!)

  test('has examples', () => {
    expect(examples.length).toBeGreaterThanOrEqual(5)
  })

  test.each(examples.map((text, n) => [n, text] as const))('example %d runs', async (n, text) => {
    const file = join(folder, `example-${n}.mjs`)
    // A module for the edge is called as the edge would.
    const worker = text.includes('export default')
    const call = `const waiting = []
const answer = await worker.fetch(new Request('https://example.com/'), {}, { waitUntil: (work) => waiting.push(work) })
console.log(answer.status, await Promise.all(waiting))`
    const program = worker ? `${text.replace('export default', 'const worker =')}\n${call}` : text
    writeFileSync(
      file,
      await bundle({
        text: program.replaceAll('http://127.0.0.1:8700', product.url).replaceAll("site: 'blog'", "site: 'default'"),
      }),
    )
    const { stdout, stderr } = await run(process.execPath, [file], LIMIT)
    if (worker) expect(stdout).toBe('200 [ true ]\n')
    expect(stderr).not.toMatch(/Error/)
    if (text.includes('not a url')) {
      expect(stderr).toContain('refused: url_invalid /url')
      expect(stdout).toMatch(/refused: 1/)
    }
    if (text.includes('Mars/Base')) expect(stdout).toContain('400 timezone_unknown')
  })
})
