import { hash, timingSafeEqual } from 'node:crypto'
import { MillraceError } from '@millrace/shared'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { describeNeeds } from './reference/describe-routes.ts'

/** What a request may do. */
export interface Access {
  /** `ingest`, `read`, `sql`, `admin`; the last is all of them. */
  readonly scopes: readonly string[]
  /** Sites that it is for; empty = all. */
  readonly sites: readonly string[]
}

export interface KeyGuard {
  /** The operator's own key; empty = who comes without a key may do everything, but only over a loopback name. */
  readonly adminKey: string
  /** What a key may do; null = nobody's key. */
  readonly keyOf: (text: string) => Access | null
  /** Routes below a prefix need its scope. */
  readonly needs: Readonly<Record<string, string>>
}

const EVERYTHING: Access = { scopes: ['admin'], sites: [] }
const accesses = new WeakMap<FastifyRequest, Access>()

/**
 * Routes below a prefix answer 401 unless the request carries a key (`Authorization: Bearer KEY`), and 403 unless the key
 * has the scope. Call it before the routes are added.
 */
export function requireKey(app: FastifyInstance, guard: KeyGuard): void {
  const admin = hash('sha256', guard.adminKey, 'buffer')
  const prefixes = Object.entries(guard.needs)
  describeNeeds(app, guard.needs)
  app.addHook('onRequest', async (request, reply) => {
    // The route, not the address as sent: the router decodes `/v1/%71uery`, and would lead past a look at that.
    const route = request.routeOptions.url ?? ''
    const scope = prefixes.find(([prefix]) => route.startsWith(prefix))?.[1]
    if (scope === undefined) return
    const access = findAccess(request, guard, admin)
    if (access === null) {
      reply.header('www-authenticate', 'Bearer')
      throw new MillraceError('unauthorized', 'Send the key as Authorization: Bearer KEY.')
    }
    if (!access.scopes.includes(scope) && !access.scopes.includes('admin')) {
      throw new MillraceError('forbidden', `The key does not have the scope ${scope}.`)
    }
    accesses.set(request, access)
  })
}

/** What a request may do that came past requireKey; everything where no key is required. */
export const accessOf = (request: FastifyRequest): Access => accesses.get(request) ?? EVERYTHING

/** Whether an access is for a site. */
export const isForSite = ({ sites }: Access, site: string): boolean => sites.length === 0 || sites.includes(site)

function findAccess(request: FastifyRequest, { adminKey, keyOf }: KeyGuard, admin: Buffer): Access | null {
  const { authorization } = request.headers
  if (authorization === undefined) {
    if (adminKey !== '') return null
    // A page of the internet whose name leads to 127.0.0.1 must not become the same origin as an open instance.
    if (isLoopbackName(request.headers.host ?? '')) return EVERYTHING
    throw new MillraceError('forbidden', 'Without MILLRACE_ADMIN_KEY only localhost is served: set one, or send a key.')
  }
  const given = /^Bearer +(\S+) *$/i.exec(authorization)?.[1] ?? ''
  if (adminKey !== '' && timingSafeEqual(hash('sha256', given, 'buffer'), admin)) return EVERYTHING
  return keyOf(given)
}

/** Whether a Host header names this machine alone. */
function isLoopbackName(host: string): boolean {
  const name = host.replace(/:\d+$/, '').toLowerCase()
  return name === '' || name === 'localhost' || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name)
}
