/** GET /v1/openapi.json and GET /docs of the running product: what they say is what it does. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type Product, startProduct } from '@millrace/testing'
import { Validator } from '@seriousme/openapi-schema-validator'
import { Ajv2020 } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import { afterAll, beforeAll, expect, test } from 'vitest'

interface Content {
  readonly schema: object
  readonly examples?: Record<string, { value: unknown }>
}
interface Operation {
  readonly operationId: string
  readonly parameters?: { name: string; in: string; example?: unknown }[]
  readonly requestBody?: { content: Record<string, Content> }
  readonly responses: Record<string, { content?: Record<string, Content> }>
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>
}
interface Call {
  readonly path: string
  readonly method: string
  readonly operation: Operation
}

const folder = mkdtempSync(join(tmpdir(), 'millrace-openapi-'))
let product: Product
let document: Document
let ajv: Ajv2020

beforeAll(async () => {
  product = startProduct({ dataDir: folder, port: await freePort(), sites: [] })
  await product.ready()
  document = (await (await fetch(`${product.url}/v1/openapi.json`)).json()) as Document
  ajv = new Ajv2020({ strict: false, allErrors: true })
  ;(formats as unknown as (to: Ajv2020) => void)(ajv)
  ajv.addSchema(document, 'api')
})
afterAll(async () => {
  await product.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** A place in the document as a JSON pointer. */
const pointer = (...parts: string[]): string =>
  parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('')

/** What is wrong with a value, by the schema at a place of the document. */
function mistakes(value: unknown, ...place: string[]): string[] {
  const check = ajv.compile({ $ref: `api#${pointer(...place)}` })
  return check(value) ? [] : (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}

const calls = (): Call[] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )

test('the document is an OpenAPI 3.1 document', async () => {
  const validator = new Validator()
  const { valid, errors } = await validator.validate(JSON.parse(JSON.stringify(document)))
  expect([valid, errors, validator.version]).toEqual([true, undefined, '3.1'])
})

test('every address of the reference pages is in it, and the other way round', () => {
  const page = (name: string): string =>
    readFileSync(new URL(`../../docs/reference/${name}.md`, import.meta.url), 'utf8')
  const pages = page('http-api') + page('sites-and-keys')
  const written = [...pages.matchAll(/`(GET|POST|PUT|PATCH|DELETE) (\/[\w./-]*)[^`]*`|^## (GET|POST) (\S+)/gm)].map(
    ([, method, path, headed, at]) => `${method ?? headed} ${(path ?? at)!}`,
  )
  const asWritten = (path: string): string => path.replaceAll(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())
  const described = calls()
    .filter(({ method, path }) => method !== 'options' && !/^\/clickhouse\/?$/.test(path))
    .map(({ method, path }) => `${method.toUpperCase()} ${asWritten(path)}`)
  const real = (name: string): string =>
    name
      .replace(/\/v1\/reports\/(?!NAME|realtime\/stream)\w+$/, '/v1/reports/NAME')
      .replace(/\/sites\/default\//, '/sites/ID/')
  expect([...new Set(written.map(real))].sort()).toEqual(described.sort())
})

test('every example of it is as its schema says', () => {
  let examples = 0
  for (const { path, method, operation } of calls()) {
    for (const [type, { examples: named = {} }] of Object.entries(operation.requestBody?.content ?? {})) {
      for (const { value } of Object.values(named)) {
        examples++
        expect(mistakes(value, 'paths', path, method, 'requestBody', 'content', type, 'schema'), path).toEqual([])
      }
    }
  }
  expect(examples).toBeGreaterThan(15)
})

/** What stands for a name in an address. */
const IN_ADDRESS: Record<string, string> = { id: 'blog', goal: 'signup', deletion: 'none' }

function addressOf({ path, operation: { parameters = [] } }: Call): string {
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    String(parameters.find((one) => one.name === name)?.example ?? IN_ADDRESS[name]),
  )
  const query = new URLSearchParams()
  for (const { name, in: place, example } of parameters)
    if (place === 'query' && example !== undefined) query.set(name, String(example))
  return query.size > 0 ? `${filled}?${query}` : filled
}

/** A body as it was sent: JSON, JSON lines, or text. */
const parsed = (type: string, text: string): unknown[] =>
  type === 'application/x-ndjson'
    ? text
        .split('\n')
        .filter(Boolean)
        .map((line) => JSON.parse(line))
    : [/json$/.test(type) ? JSON.parse(text) : text]

/** Sends one request and says what its answer has that the document does not tell. */
async function differences(
  call: Call,
  url: string,
  type?: string,
  body?: unknown,
): Promise<{ status: number; wrong: string[] }> {
  const answer = await fetch(product.url + url, {
    method: call.method.toUpperCase(),
    headers: type === undefined ? {} : { 'content-type': type },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  const got = answer.headers.get('content-type')?.split(';')[0] ?? ''
  const told = call.operation.responses[answer.status]
  if (!told) return { status: answer.status, wrong: [`${answer.status}: ${await answer.text()}`] }
  const key = told.content && (got in told.content ? got : '*/*')
  if (key !== undefined && !(key in told.content!)) return { status: answer.status, wrong: [`type ${got}`] }
  if (got === 'text/event-stream') {
    await answer.body!.cancel()
    return { status: answer.status, wrong: [] }
  }
  if (!/json|text/.test(got)) {
    await answer.arrayBuffer()
    return { status: answer.status, wrong: [] }
  }
  const place = ['paths', call.path, call.method, 'responses', String(answer.status), 'content', key!, 'schema']
  return { status: answer.status, wrong: parsed(got, await answer.text()).flatMap((one) => mistakes(one, ...place)) }
}

/** There is nothing that these could show or take back. */
const NOTHING_THERE = ['get_sites_id_rebuild', 'delete_sites_id_deletions_deletion']

test('every request that it describes is answered as it says', async () => {
  // What makes something comes before what takes it away.
  const all = calls().sort((a, b) => Number(a.method === 'delete') - Number(b.method === 'delete'))
  const goals = all.filter(({ path }) => path.endsWith('{goal}'))
  const ordered = [
    ...all.filter((one) => !goals.includes(one) && one.method !== 'delete'),
    ...goals,
    ...all.filter(({ method, path }) => method === 'delete' && !path.endsWith('{goal}')),
  ]
  for (const call of ordered) {
    const bodies = Object.entries(call.operation.requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
      Object.values(examples).map(({ value }) => [type, value] as const),
    )
    let url = addressOf(call)
    if (call.path === '/v1/keys/{id}') {
      const { keys } = (await (await fetch(`${product.url}/v1/keys`)).json()) as { keys: { id: string }[] }
      url = `/v1/keys/${keys[0]!.id}`
    }
    for (const [type, body] of bodies.length > 0 ? bodies : [[undefined, undefined] as const]) {
      const { status, wrong } = await differences(call, url, type, body)
      expect(wrong, `${call.method} ${url}`).toEqual([])
      if (NOTHING_THERE.includes(call.operation.operationId)) expect(status).toBe(404)
      else expect([200, 201, 202, 204], `${call.method} ${url} ${status}`).toContain(status)
    }
  }
})

const at = (method: string, path: string): Call => ({ path, method, operation: document.paths[path]![method]! })
const reports: [string, object][] = [
  ['headline', { period: 'today', compare: 'previous_year' }],
  ['routes', { period: '24h' }],
  ['heatmap', { period: 'all' }],
  ['realtime', { minutes: 5 }],
  ['sessions', { include_bots: true }],
  ['session', { session_id: '0123456789abcdef' }],
  ['event_properties', { event_name: 'signup', include_bots: true }],
  ['event_properties', { event_name: 'signup', property: 'seats', include_bots: true }],
  ['event_properties', { event_name: 'nobody', property: 'seats' }],
  ['tags', { include_bots: true }],
  ['goals', {}],
  ['journey', { path: '/pricing', include_bots: true }],
  ['values', { dimension: 'path', search: 'Pri', include_bots: true }],
  ['values', { dimension: 'session_page_views', include_bots: true }],
]
test.each(reports)('the report %s answers as it says: %j', async (name, body) => {
  const call = at('post', '/v1/reports/{name}')
  expect(mistakes(body, 'paths', call.path, 'post', 'requestBody', 'content', 'application/json', 'schema')).toEqual([])
  const { status, wrong } = await differences(call, `/v1/reports/${name}`, 'application/json', body)
  expect([status, wrong]).toEqual([200, []])
})

test('a session with its steps is as it says', async () => {
  const user = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0'
  const body = JSON.stringify({
    hits: [
      { url: 'https://example.com/a', tags: { t: 'x' } },
      { type: 'event', name: 'e', url: 'https://example.com/a', props: { n: 1 } },
    ],
  })
  await fetch(`${product.url}/v1/hits`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'user-agent': user, 'accept-language': 'de' },
    body,
  })
  const list = async () =>
    (await (await fetch(`${product.url}/v1/reports/sessions?include_bots=true`)).json()) as {
      rows: { session_id: string; page_views: number }[]
    }
  await expect.poll(async () => (await list()).rows.length, { timeout: 60_000 }).toBeGreaterThan(0)
  const [first] = (await list()).rows
  const call = at('post', '/v1/reports/{name}')
  for (const [name, more] of [
    ['session', { session_id: first!.session_id }],
    ['sessions', { include_bots: true }],
  ] as const)
    expect((await differences(call, `/v1/reports/${name}`, 'application/json', more)).wrong).toEqual([])
})

const refused: [string, string, string, string, number][] = [
  ['post', '/v1/hits', 'application/json', '{', 400],
  ['post', '/v1/hits', 'application/json', '[]', 400],
  ['post', '/v1/hits', 'application/json', '{"url":"ftp://x"}', 400],
  ['post', '/v1/hits', 'application/json', '{"url":"https://x.example/","nope":1}', 400],
  ['post', '/v1/hits', 'application/json', '{"url":"https://x.example/","site":"nobody"}', 404],
  ['post', '/v1/hits', 'application/xml', '<a/>', 415],
  ['post', '/v1/hits', 'application/json', 'too large', 413],
  ['post', '/v1/query', 'application/json', '{', 400],
  ['post', '/v1/query', 'application/json', '{"period":"7d","metrics":["nope"]}', 400],
  ['post', '/v1/query', 'application/json', '{"metrics":["visitors"]}', 400],
  ['post', '/v1/query', 'application/json', '{"period":"7d","metrics":["visitors"],"nope":1}', 400],
  ['post', '/v1/query', 'application/json', '{"period":{"from":"x","to":"y"},"metrics":["visitors"]}', 400],
  ['post', '/v1/query', 'application/json', '{"period":"7d","metrics":["visitors"],"timezone":"Mars/Base"}', 400],
  ['post', '/v1/query', 'application/json', '{"period":"7d","metrics":["visitors"],"site":"nobody"}', 404],
  ['post', '/v1/query', 'text/plain', '{}', 415],
  ['get', '/v1/query', '', '', 400],
  ['post', '/v1/sql', 'text/plain', 'SELEC', 400],
  ['post', '/v1/sql', 'text/plain', 'DROP TABLE hits', 403],
  ['post', '/v1/sites', 'application/json', '{"id":"default"}', 409],
  ['post', '/v1/sites', 'application/json', '{"id":"a b"}', 400],
  ['post', '/v1/keys', 'application/json', '{"scopes":[]}', 400],
  ['post', '/v1/resume', 'application/json', '{"accept_gap":1}', 400],
]
test.each(refused)('%s %s refuses %s %j as it says', async (method, path, type, body, status) => {
  const found = await differences(
    at(method, path),
    path,
    type || undefined,
    body === 'too large' ? ' '.repeat(70_000) : body || undefined,
  )
  expect([found.status, found.wrong]).toEqual([status, []])
})

test('/docs shows every operation, on its own', async () => {
  const answer = await fetch(`${product.url}/docs`)
  expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  expect(answer.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
  const page = await answer.text()
  expect(page).not.toMatch(/<script|<link|<img|src=|@import|url\(|style="|href="(?!#|\/v1\/openapi\.json)/)
  for (const { operation, path } of calls()) {
    expect(page).toContain(`<section id="${operation.operationId}">`)
    expect(page).toContain(`<code>${path}</code>`)
  }
  expect(Buffer.byteLength(page)).toBeLessThan(300_000)
})

test('its lines for a shell work', async () => {
  const page = await (await fetch(`${product.url}/docs`)).text()
  const lines = [...page.matchAll(/<pre>(curl [^<]*)<\/pre>/g)].map(([, line]) =>
    line!.replaceAll('&quot;', '"').replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&amp;', '&'),
  )
  const wanted = lines.filter(
    (line) => !line.includes('OPTIONS') && /\/v1\/(hits|query|sql|reports|ledger)'/.test(line),
  )
  expect(wanted.length).toBeGreaterThanOrEqual(7)
  for (const line of wanted) {
    const answer = execFileSync('sh', ['-c', `${line} -sS --fail-with-body`], { encoding: 'utf8' })
    expect(Object.keys(JSON.parse(answer) as object), line).not.toContain('code')
  }
})
