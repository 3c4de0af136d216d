/** The operator's commands on an instance that runs and takes hits: verify, tail, backup, restore, resume. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  freePort,
  PERSON_AGENT,
  type Product,
  postHits,
  type Ran,
  runMillrace,
  spawnMillrace,
  startProduct,
  waitUntil,
} from '@millrace/testing'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { smallDisk } from './killpoints/disk-full.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-operate-'))
const archive = join(folder, 'backup.tar')
const restored = join(folder, 'restored')
/** Where half an archive is restored first, then a whole one. */
const cut = join(folder, 'cut')
let product: Product
/** hit_ids that were answered with 202, in the order of the answers. */
const answered: string[] = []
let sending: Promise<void> | undefined
let enough = false

beforeAll(async () => {
  product = startProduct({
    dataDir: join(folder, 'data'),
    port: await freePort(),
    env: { MILLRACE_TRUSTED_PROXIES: '127.0.0.1/32' },
  })
  await product.ready()
  sending = send()
  await waitUntil('some hits are taken', async () => answered.length >= 200, 60_000)
})
afterAll(async () => {
  enough = true
  await sending
  await product.kill()
  rmSync(folder, { recursive: true, force: true })
})

/** Visitors of two sites, one request after the other, until it is enough. */
async function send(): Promise<void> {
  for (let n = 0; !enough; n++) {
    const hitId = randomUUID()
    const hit = { site: n % 3 === 0 ? 'shop' : 'blog', hit_id: hitId, url: `https://example.com/page/${n % 9}` }
    // The first hundred never come back: their sessions stand still and can be compared.
    const address = n < 100 ? `198.18.9.${n}` : `198.18.${n % 3}.${n % 40}`
    const answer = await postHits(product.url, hit, { 'x-forwarded-for': address }).catch(() => null)
    if (answer?.status === 202) answered.push(hitId)
  }
}

const millrace = (...args: string[]): Promise<Ran> => runMillrace(args)

interface Report {
  readonly ok: boolean
  readonly facts: Readonly<Record<string, number>>
  readonly checks: readonly { readonly name: string; readonly compared: number; readonly examples: readonly string[] }[]
}

async function verified(...args: string[]): Promise<Report> {
  const { code, stdout, stderr } = await millrace('verify', '--json', '--quiet', ...args)
  expect([code, stderr, stdout.slice(0, 2_000)]).toEqual([0, '', expect.stringContaining('"ok": true')])
  return JSON.parse(stdout) as Report
}

test('verify finds no difference while hits come in, and says what it does', async () => {
  const { code, stdout, stderr } = await millrace('verify', '--url', product.url)
  expect([code, stdout]).toEqual([0, expect.stringContaining('no differences')])
  expect(stderr).toContain('hits.raw, partition 0: raw offsets 0 to ')
  // What was inserted last is compared once the aggregator's next batch has confirmed it.
  const { checks } = await waitUntil('there is something to compare for every check', async () => {
    const report = await verified('--url', product.url)
    return report.checks.length === 10 ? report : null
  })
  expect(checks.filter(({ compared }) => compared === 0)).toEqual([])
})

test('tail shows every topic, and nobody unless it is asked to', async () => {
  const tail = async (...args: string[]) => {
    const { code, stdout, stderr } = await millrace('tail', ...args, '--url', product.url)
    expect([code, stderr]).toEqual([0, ''])
    return stdout.trimEnd().split('\n')
  }
  const raw = await tail('hits.raw', '--from', 'begin', '--limit', '3')
  expect(raw.map((line) => JSON.parse(line).offset)).toEqual([0, 1, 2])
  expect(raw.join()).toContain('https://example.com/page/')
  expect(raw.join()).not.toMatch(/198\.18\.|Mozilla/)
  const [shown] = await tail('hits.raw', '--from', '0', '--limit', '1', '--show-personal')
  expect(JSON.parse(shown!).lines[0]).toMatchObject({
    user_agent: PERSON_AGENT,
    ip: expect.stringMatching(/^198\.18\./),
  })
  const [enriched] = await tail('hits.enriched', '--partition', '1', '--from', 'begin', '--limit', '1')
  expect(JSON.parse(enriched!)).toMatchObject({
    ...{ topic: 'hits.enriched', partition: 1, offset: 0, prev: -1, src_from: 0 },
    hits: expect.arrayContaining([expect.objectContaining({ verdict: 'keep', hostname: 'example.com' })]),
    sessions: expect.arrayContaining([expect.objectContaining({ sign: 1, page_views: expect.any(Number) })]),
  })
  const [salt] = await tail('millrace.salts')
  expect(JSON.parse(salt!)).toMatchObject({ key: expect.stringMatching(/^\d{4}-\d\d-\d\d$/), value: '(secret)' })
  const config = (await tail('millrace.config')).map((line) => JSON.parse(line))
  expect(config.filter(({ key }) => key.startsWith('installation/')).map(({ value }) => value)).toEqual(['(secret)'])
  const followed = await tail('hits.raw', '--follow', '--limit', '5')
  expect(followed).toHaveLength(5)
})

test('a backup that is made while hits come in has each that was accepted before, once', async () => {
  const before = answered.length
  const { code, stdout, stderr } = await millrace('backup', archive, '--quiet', '--url', product.url)
  expect([code, stderr, stdout]).toEqual([0, '', expect.stringMatching(/^backup of [\d.]+ MB in /)])
  expect(statSync(archive).mode & 0o777).toBe(0o600)
  await waitUntil('hits come in after the backup', async () => answered.length > before + 20, 60_000)
  const again = await millrace('backup', archive, '--url', product.url)
  expect([again.code, again.stderr]).toEqual([1, expect.stringContaining('exists already')])

  const done = await millrace('restore', archive, '--data-dir', restored, '--quiet')
  expect([done.code, done.stderr, done.stdout]).toEqual([
    0,
    '',
    expect.stringMatching(/^restored \d+ hits and \d+ sessions/),
  ])
  const report = await verified('--data-dir', restored)
  expect(report.facts.rows).toBeGreaterThanOrEqual(before)

  enough = true
  await sending
  await product.stop()
  product = startProduct({ dataDir: restored, port: await freePort() })
  await product.ready()
  const ids = await sql(`SELECT toString(hit_id) AS id FROM analytics.hits ORDER BY id FORMAT TSV`)
  expect(ids).toHaveLength(new Set(ids).size)
  expect(new Set(ids)).toEqual(new Set([...ids, ...answered.slice(0, before)]))
  expect(new Set(answered)).toEqual(new Set([...answered, ...ids]))
})

test('a backup that cannot be written says why, and leaves what is there alone', async () => {
  const missing = await millrace('backup', join(folder, 'no', 'such.tar'), '--url', product.url)
  expect(missing).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^millrace: the backup cannot be written: ENOENT/),
  })
  const taken = join(folder, 'taken.tar')
  writeFileSync(`${taken}.partial`, 'of somebody else')
  const refused = await millrace('backup', taken, '--url', product.url)
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('taken.tar.partial exists: another backup'),
  })
  expect(readFileSync(`${taken}.partial`, 'utf8')).toBe('of somebody else')
})

test('a backup that is interrupted leaves nothing', async () => {
  // An instance that answers nothing.
  const silent = createServer(() => undefined)
  await new Promise<void>((listening) => silent.listen(0, '127.0.0.1', listening))
  onTestFinished(() => void silent.close())
  const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`
  const asked = once(silent, 'connection')
  const path = join(folder, 'interrupted.tar')
  const command = spawnMillrace(['backup', path, '--url', url])
  const ended = once(command, 'exit')
  await asked
  expect(existsSync(`${path}.partial`)).toBe(true)
  command.kill('SIGINT')
  expect(await ended).toEqual([1, null])
  expect([existsSync(path), existsSync(`${path}.partial`)]).toEqual([false, false])
})

test('a backup holds no address, no user agent and no salt', async () => {
  const bytes = readFileSync(archive)
  expect(bytes.includes('198.18.')).toBe(false)
  expect(bytes.includes('Mozilla/5.0')).toBe(false)
  expect(bytes.includes('hits.raw')).toBe(false)
})

test('a restored instance goes on counting right', async () => {
  const before = Number((await sql('SELECT count() FROM analytics.hits FORMAT TSV'))[0])
  for (let n = 0; n < 50; n++) await postHits(product.url, { site: 'blog', url: `https://example.com/page/${n}` })
  await waitUntil(
    'the new hits are counted',
    async () => Number((await sql('SELECT count() FROM analytics.hits FORMAT TSV'))[0]) === before + 50,
    60_000,
  )
  await waitUntil('the new hits are compared', async () => {
    const { facts } = await verified('--url', product.url)
    expect(facts).toMatchObject({ raw_hits: 50, rows_of_the_chain: 50 })
    return true
  })
})

test('a backup that is cut off, or no backup, is refused, and what is there of it does not start', async () => {
  const half = join(folder, 'half.tar')
  writeFileSync(half, readFileSync(archive).subarray(0, -60_000))
  expect((await millrace('restore', half, '--data-dir', cut, '--quiet')).stderr).toMatch(/cut off|damaged|not whole/)
  const started = startProduct({ dataDir: cut, port: await freePort() })
  expect(await started.exited).toEqual({ code: 1, signal: null })
  expect(started.lines.map(({ text }) => text).join()).toContain('a restore into')
  expect(await millrace('restore', archive, '--data-dir', cut, '--quiet')).toMatchObject({ code: 0, stderr: '' })
  expect((await verified('--data-dir', cut)).ok).toBe(true)
  expect((await millrace('restore', archive, '--data-dir', restored)).stderr).toContain('is not empty')
  expect(
    (await millrace('restore', fileURLToPath(import.meta.url), '--data-dir', join(folder, 'none'))).stderr,
  ).toContain('no archive')
})

test('a backup for which there is no room says so', async (test) => {
  const small = smallDisk()
  if ('missing' in small) return test.skip(small.missing)
  onTestFinished(() => small.remove())
  small.fill({ paths: [''], how: 'full' })
  const path = join(small.folder, 'backup.tar')
  const full = { code: 1, stderr: expect.stringContaining('millrace: the backup cannot be written: ENOSPC') }
  expect(await millrace('backup', path, '--quiet', '--url', product.url)).toMatchObject(full)
  expect(await millrace('backup', path, '--quiet', '--data-dir', cut)).toMatchObject(full)
  expect(existsSync(`${path}.partial`)).toBe(false)
})

test('what cannot be done is said by the instance too', async () => {
  const wrong = await millrace('tail', 'hits.raw', '--partition', '99', '--url', product.url)
  expect(wrong).toMatchObject({ code: 1, stderr: expect.stringContaining('has the partitions 0 to 3') })
  const inUse = await millrace('verify', '--data-dir', restored)
  expect(inUse).toMatchObject({ code: 1, stderr: expect.stringContaining('in use by process') })
})

test('resume says that nothing is missing', async () => {
  expect(await millrace('resume', '--url', product.url)).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('no hole'),
  })
  expect(existsSync(archive)).toBe(true)
})

test('a stop breaks off a comparison that runs, and says so', async () => {
  enough = true
  await sending
  // Enough for a comparison of seconds; a stop that waits for its end would get the report.
  const hits = Array.from({ length: 100 }, (_, n) => ({ site: 'blog', url: `https://example.com/page/${n}` }))
  for (let n = 0; n < 600; n++) {
    const { status } = await postHits(product.url, { hits }, { 'user-agent': `${PERSON_AGENT} Visitor/${n}` })
    expect(status).toBe(202)
  }
  await waitUntil(
    'they are stored',
    async () => Number((await sql('SELECT count() FROM analytics.hits FORMAT TSV'))[0]) >= 60_000,
    60_000,
  )
  const headers = { 'content-type': 'application/json' }
  const { body } = await fetch(`${product.url}/v1/verify`, { method: 'POST', headers, body: '{}' })
  const lines = body!.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]()
  let answer = (await lines.next()).value as string
  expect(answer).toContain('"progress"')
  const stopped = product.stop()
  for (let next = await lines.next(); !next.done; next = await lines.next()) answer += next.value
  expect(answer).toMatch(/\{"error":"the comparison was broken off"\}\n$/)
  expect(await stopped).toEqual({ code: 0, signal: null })
})

async function sql(text: string): Promise<string[]> {
  const answer = await fetch(`${product.url}/v1/sql`, { method: 'POST', body: text })
  const body = await answer.text()
  expect(answer.status, body).toBe(200)
  return body.trimEnd().split('\n')
}
