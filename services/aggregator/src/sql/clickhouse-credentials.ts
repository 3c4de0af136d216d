import type { FastifyInstance, FastifyRequest } from '@millrace/server'

/**
 * Lets ClickHouse's clients send a key the way they send a password: as X-ClickHouse-Key, as the password of Basic, or as
 * `password` in the URL; the user's name does not matter, and without a password they come without a key. Call it before
 * requireKey; it concerns addresses that begin with `path` ('' = all).
 */
export function acceptClickHouseCredentials(app: FastifyInstance, path: string): void {
  app.addHook('onRequest', async (request) => {
    const route = request.routeOptions.url ?? ''
    if (!route.startsWith(path)) return
    const password = passwordOf(request)
    if (password === null) return
    if (password === '') delete request.headers.authorization
    else request.headers.authorization = `Bearer ${password}`
  })
}

/** null = the request says none of it. */
function passwordOf(request: FastifyRequest): string | null {
  const { authorization, 'x-clickhouse-key': key, 'x-clickhouse-user': user } = request.headers
  if (typeof key === 'string') return key
  const basic = /^Basic +(\S+) *$/i.exec(authorization ?? '')
  if (basic) {
    const pair = Buffer.from(basic[1]!, 'base64').toString()
    return pair.includes(':') ? pair.slice(pair.indexOf(':') + 1) : ''
  }
  if (authorization !== undefined) return null
  const inUrl = new URL(request.url, 'http://localhost').searchParams.get('password')
  return inUrl ?? (user === undefined ? null : '')
}
