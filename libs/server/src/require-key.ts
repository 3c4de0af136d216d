import { hash, timingSafeEqual } from 'node:crypto'
import { MillraceError } from '@millrace/shared'
import type { FastifyInstance } from 'fastify'

/** Routes below one of `prefixes` answer 401 unless the request carries `Authorization: Bearer KEY`. Call it before they are added. */
export function requireKey(app: FastifyInstance, key: string, prefixes: readonly string[]): void {
  const expected = hash('sha256', `Bearer ${key}`, 'buffer')
  app.addHook('onRequest', async (request, reply) => {
    if (!prefixes.some((prefix) => request.url.startsWith(prefix))) return
    const given = hash('sha256', request.headers.authorization ?? '', 'buffer')
    if (timingSafeEqual(given, expected)) return
    reply.header('www-authenticate', 'Bearer')
    throw new MillraceError('unauthorized', 'Send the key as Authorization: Bearer KEY.')
  })
}
