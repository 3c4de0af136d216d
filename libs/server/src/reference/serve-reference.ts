import type { FastifyInstance, FastifyRequest } from 'fastify'
import { describeRoutes, knownOf } from './describe-routes.ts'
import { type DescribedRoute, type OpenApi, writeOpenApi } from './openapi-document.ts'
import { json, type Operation, type Operations, TEXT } from './operation.ts'
import { PAGE_POLICY, writePage } from './reference-page.ts'

const OWN: Operations = {
  'GET /v1/openapi.json': {
    tag: 'Operation',
    summary: 'This description, as an OpenAPI 3.1 document',
    description: 'Of the routes that this service has.',
    answers: { 200: { description: 'The document', content: json({ type: 'object' }) } },
  },
  'GET /docs': {
    tag: 'Operation',
    summary: 'The same for people, as one page without scripts',
    answers: { 200: { description: 'The page', content: { 'text/html': { schema: TEXT } } } },
  },
}

/**
 * Adds GET /v1/openapi.json and GET /docs, which tell what this server's routes do. The server does not become ready when a
 * route is not described, or a description has no route.
 */
export function serveReference(app: FastifyInstance, version: string): void {
  describeRoutes(app, OWN)
  let document: OpenApi | undefined
  let text = ''
  const written = (): OpenApi => {
    document ??= writeOpenApi(describedRoutes(app), version)
    text ||= JSON.stringify(document)
    return document
  }
  app.addHook('onReady', async () => {
    const missing = differences(app)
    if (missing.length > 0) throw new Error(`routes and their descriptions differ: ${missing.join(', ')}`)
    written()
  })
  app.get('/v1/openapi.json', (_request, reply) => {
    written()
    return reply
      .header('content-type', 'application/json; charset=utf-8')
      .header('cache-control', 'no-cache')
      .send(text)
  })
  app.get('/docs', (request, reply) =>
    reply
      .header('content-type', 'text/html; charset=utf-8')
      .header('content-security-policy', PAGE_POLICY)
      .header('x-content-type-options', 'nosniff')
      .header('referrer-policy', 'no-referrer')
      .header('cache-control', 'no-cache')
      .send(writePage(written(), addressOf(request))),
  )
}

/** Routes without a description, and descriptions without a route. */
function differences(app: FastifyInstance): string[] {
  const { routes, operations } = knownOf(app)
  const names = new Set(routes.map(({ method, url }) => `${method} ${url}`))
  return [
    ...[...names].filter((name) => !operations.has(name)).map((name) => `${name} is not described`),
    ...[...operations.keys()].filter((name) => !names.has(name)).map((name) => `${name} is no route`),
  ]
}

/** Headings in the order for readers; others come behind them. */
const TAGS = ['Hits', 'Reports', 'SQL', 'Sites and keys', 'Rebuild and delete', 'Operation']

/** Under their headings in the order of the descriptions. */
function describedRoutes(app: FastifyInstance): DescribedRoute[] {
  const { operations, needs } = knownOf(app)
  const prefixes = Object.entries(needs)
  const place = ({ tag }: Operation): number => (TAGS.includes(tag) ? TAGS.indexOf(tag) : TAGS.length)
  const sorted = [...operations].sort(([, a], [, b]) => place(a) - place(b))
  return sorted.map(([name, operation]) => {
    const [method, url] = name.split(' ') as [string, string]
    return { method, url, operation, scope: prefixes.find(([prefix]) => url.startsWith(prefix))?.[1] ?? null }
  })
}

/** The address that the reader came by, for lines to copy; a strange Host is not repeated. */
function addressOf({ headers, protocol }: FastifyRequest): string {
  const { host = '' } = headers
  return /^[\w.-]+(:\d+)?$|^\[[\da-f:]+\](:\d+)?$/i.test(host) ? `${protocol}://${host}` : 'http://127.0.0.1:8700'
}
