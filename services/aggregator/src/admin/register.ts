/** /v1/sites, the goals below them, and /v1/keys: how the installation is told what it is to do. */
import type { ConfigBook, ConfigWriter, Key, SiteChange, SiteGoal, SiteRecord } from '@millrace/config'
import {
  type Access,
  accessOf,
  describeRoutes,
  type FastifyReply,
  type FastifyRequest,
  isForSite,
  type Server,
} from '@millrace/server'
import { DEFAULT_SITE_SETTINGS, MillraceError } from '@millrace/shared'
import { parseFilter } from '../query/filter.ts'
import { type AdminFacts, adminFacts } from './facts.ts'
import { ADMIN_OPERATIONS } from './operations.ts'

export interface AdminApi {
  readonly server: Pick<Server, 'app' | 'logger'>
  readonly config: ConfigBook
  readonly writer: ConfigWriter
}

/** Routes that need a key, with the scope. */
export const GUARDED_ROUTES = {
  '/v1/query': 'read',
  '/v1/reports': 'read',
  '/v1/ledger': 'read',
  '/v1/sql': 'sql',
  '/clickhouse': 'sql',
  '/v1/sites': 'admin',
  '/v1/keys': 'admin',
} as const

const MAX_BODY_BYTES = 256 * 1024

/** Adds /v1/sites, /v1/sites/SITE/goals and /v1/keys. Guard them with GUARDED_ROUTES, and call this before the server listens. */
export function registerAdminApi(api: AdminApi): void {
  const facts = adminFacts(api.server)
  describeRoutes(api.server.app, ADMIN_OPERATIONS)
  api.server.app.register(async (app) => {
    app.removeAllContentTypeParsers()
    // Nothing but JSON: a form of a strange page cannot send it without asking first.
    app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, readJson)
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store')
    })
    addSiteRoutes(app, api, facts)
    addGoalRoutes(app, api, facts)
    addKeyRoutes(app, api, facts)
  })
}

async function readJson(_request: unknown, body: Buffer): Promise<unknown> {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body))
  } catch {
    throw new MillraceError('json_invalid', 'The body must be one JSON object in UTF-8.')
  }
}

type App = Server['app']
interface OfSite {
  Params: { id: string }
}
interface OfGoal {
  Params: { id: string; goal: string }
}

function addSiteRoutes(app: App, { config, writer }: AdminApi, facts: AdminFacts): void {
  app.get('/v1/sites', (request, reply) => {
    const access = accessOf(request)
    const sites = [...config.siteRecords()].filter(([id]) => isForSite(access, id))
    return reply.send({ sites: sites.sort(([a], [b]) => (a < b ? -1 : 1)).map(([id, record]) => showSite(id, record)) })
  })
  app.get<OfSite>('/v1/sites/:id', (request, reply) => {
    const id = allowedSite(request)
    const record = config.siteRecords().get(id)
    if (!record) throw new MillraceError('site_unknown', 'There is no site with this id.')
    return reply.send(showSite(id, record))
  })
  app.post('/v1/sites', async (request, reply) => {
    needAllSites(accessOf(request))
    const { id, ...settings } = withoutReadOnly(request.body)
    const change = await writer.addSite(id, settings)
    facts.siteChanged(change.id, 'added')
    return answerChange(reply.code(201).header('location', `/v1/sites/${change.id}`), change)
  })
  app.put<OfSite>('/v1/sites/:id', async (request, reply) => {
    const id = allowedSite(request)
    const isNew = config.settingsOf(id) === null
    if (isNew) needAllSites(accessOf(request))
    const change = await writer.putSite(id, settingsFor(id, request.body))
    facts.siteChanged(id, isNew ? 'added' : 'changed')
    return answerChange(reply.code(isNew ? 201 : 200), change)
  })
  app.patch<OfSite>('/v1/sites/:id', async (request, reply) => {
    const id = allowedSite(request)
    const change = await writer.changeSite(id, settingsFor(id, request.body))
    facts.siteChanged(id, 'changed')
    return answerChange(reply, change)
  })
  app.delete<OfSite>('/v1/sites/:id', async (request, reply) => {
    needAllSites(accessOf(request))
    await writer.removeSite(request.params.id)
    facts.siteChanged(request.params.id, 'removed')
    return reply.code(204).send()
  })
}

function addGoalRoutes(app: App, { config, writer }: AdminApi, facts: AdminFacts): void {
  const goalsOf = (site: string): readonly SiteGoal[] => {
    if (!config.settingsOf(site)) throw new MillraceError('site_unknown', 'There is no site with this id.')
    return config.goalsOf(site)
  }
  app.get<OfSite>('/v1/sites/:id/goals', (request, reply) =>
    reply.send({ goals: goalsOf(allowedSite(request)).map(showGoal) }),
  )
  app.get<OfGoal>('/v1/sites/:id/goals/:goal', (request, reply) => {
    const goal = goalsOf(allowedSite(request)).find(({ id }) => id === request.params.goal)
    if (!goal) throw new MillraceError('goal_unknown', 'The site has no goal with this id.')
    return reply.send(showGoal(goal))
  })
  app.post<OfSite>('/v1/sites/:id/goals', async (request, reply) => {
    const site = allowedSite(request)
    const { id, ...settings } = withoutReadOnly(request.body)
    const goal = await writer.addGoal(site, id, settings, parseFilter)
    facts.goalChanged(site, goal.id, 'added')
    return reply.code(201).header('location', `/v1/sites/${site}/goals/${goal.id}`).send(showGoal(goal))
  })
  app.put<OfGoal>('/v1/sites/:id/goals/:goal', async (request, reply) => {
    const site = allowedSite(request)
    const { goal: id } = request.params
    const isNew = !goalsOf(site).some((goal) => goal.id === id)
    const goal = await writer.putGoal(site, id, settingsFor(id, request.body, 'goal'), parseFilter)
    facts.goalChanged(site, id, isNew ? 'added' : 'changed')
    return reply.code(isNew ? 201 : 200).send(showGoal(goal))
  })
  app.delete<OfGoal>('/v1/sites/:id/goals/:goal', async (request, reply) => {
    const site = allowedSite(request)
    await writer.removeGoal(site, request.params.goal)
    facts.goalChanged(site, request.params.goal, 'removed')
    return reply.code(204).send()
  })
}

function addKeyRoutes(app: App, { config, writer }: AdminApi, facts: AdminFacts): void {
  // Whoever may make keys may make one for everything.
  app.get('/v1/keys', (request, reply) => {
    needAllSites(accessOf(request))
    const keys = [...config.keys().values()].sort((a, b) => (a.created_at < b.created_at ? -1 : 1))
    return reply.send({ keys: keys.map(showKey) })
  })
  app.post('/v1/keys', async (request, reply) => {
    needAllSites(accessOf(request))
    const { key, text } = await writer.addKey(request.body)
    facts.keyChanged(key.id, 'added')
    return reply.code(201).send({ ...showKey(key), key: text })
  })
  app.delete<OfSite>('/v1/keys/:id', async (request, reply) => {
    needAllSites(accessOf(request))
    await writer.revokeKey(request.params.id)
    facts.keyChanged(request.params.id, 'revoked')
    return reply.code(204).send()
  })
}

/** @throws MillraceError forbidden */
function allowedSite(request: FastifyRequest<OfSite> | FastifyRequest<OfGoal>): string {
  const { id } = request.params
  if (isForSite(accessOf(request), id)) return id
  throw new MillraceError('forbidden', 'The key is not for this site.')
}

/** @throws MillraceError forbidden for keys that are for some sites only */
function needAllSites({ sites }: Access): void {
  if (sites.length > 0) throw new MillraceError('forbidden', 'This needs a key that is for all sites.')
}

const READ_ONLY = ['created_at', 'updated_at', 'notes']

/** What an answer has and a request needs not: so an answer can be changed and sent back. */
function withoutReadOnly(body: unknown): Record<string, unknown> {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new MillraceError('field_invalid', 'The body must be a JSON object.')
  }
  return Object.fromEntries(Object.entries(body).filter(([name]) => !READ_ONLY.includes(name)))
}

function settingsFor(known: string, body: unknown, what = 'site'): Record<string, unknown> {
  const { id, ...settings } = withoutReadOnly(body)
  if (id === undefined || id === known) return settings
  const detail = `is another id than that in the address; a ${what} cannot be renamed`
  throw new MillraceError('field_invalid', `/id ${detail}.`, [{ code: 'field_invalid', pointer: '/id', detail }])
}

const showSite = (id: string, { settings, created_at, updated_at }: SiteRecord) => ({
  id,
  ...DEFAULT_SITE_SETTINGS,
  ...settings,
  created_at,
  updated_at,
})

const showGoal = ({ id, settings, created_at, updated_at }: SiteGoal) => ({ id, ...settings, created_at, updated_at })

const showKey = ({ id, name, scopes, sites, created_at }: Key) => ({ id, name, scopes, sites, created_at })

function answerChange(reply: FastifyReply, { id, record, notes }: SiteChange): FastifyReply {
  return reply.send({ ...showSite(id, record), ...(notes.length > 0 && { notes }) })
}
