import { hash, timingSafeEqual } from 'node:crypto'
import { MillraceError } from '@millrace/shared'
import type { FastifyInstance } from 'fastify'

/** Routes below one of `prefixes` answer 401 unless the request carries `Authorization: Bearer KEY`. Call it before they are added. */
export function requireKey(app: FastifyInstance, key: string, prefixes: readonly string[]): void {
  const expected = hash('sha256', `Bearer ${key}`, 'buffer')
  app.addHook('onRequest', async (request, reply) => {
    // The route, not the address as sent: the router decodes `/v1/%71uery`, and would lead past a look at that.
    const route = request.routeOptions.url ?? ''
    if (!prefixes.some((prefix) => route.startsWith(prefix))) return
    const given = hash('sha256', request.headers.authorization ?? '', 'buffer')
    if (timingSafeEqual(given, expected)) return
    reply.header('www-authenticate', 'Bearer')
    throw new MillraceError('unauthorized', 'Send the key as Authorization: Bearer KEY.')
  })
}
