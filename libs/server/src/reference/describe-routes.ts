import type { FastifyInstance } from 'fastify'
import type { Operations } from './operation.ts'

/** A route as it was added. */
export interface Route {
  readonly method: string
  /** As the router takes it: `/v1/sites/:id`. */
  readonly url: string
}

/** What is known of the routes of one server. */
interface Known {
  readonly routes: Route[]
  readonly operations: Map<string, Operations[string]>
  /** Scope by prefix of the addresses that need one. */
  needs: Readonly<Record<string, string>>
}

const servers = new WeakMap<object, Known>()

/** What is known of the server of an app, or of a scope of it. */
export function knownOf({ server }: FastifyInstance): Known {
  const known = servers.get(server) ?? { routes: [], operations: new Map(), needs: {} }
  servers.set(server, known)
  return known
}

/** Remembers every route that is added from now on. HEAD goes with GET, and is none of its own. */
export function rememberRoutes(app: FastifyInstance): void {
  const { routes } = knownOf(app)
  app.addHook('onRoute', ({ method, url }) => {
    for (const one of [method].flat()) if (one !== 'HEAD') routes.push({ method: one, url })
  })
}

/** Says what routes do, for GET /v1/openapi.json and /docs. Which of them there are is what was added. */
export function describeRoutes(app: FastifyInstance, operations: Operations): void {
  const known = knownOf(app)
  for (const [route, operation] of Object.entries(operations)) known.operations.set(route, operation)
}

/** Remembers which addresses need a key. */
export function describeNeeds(app: FastifyInstance, needs: Known['needs']): void {
  knownOf(app).needs = needs
}
