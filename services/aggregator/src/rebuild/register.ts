/** /v1/sites/SITE/rebuild: gives stored hits the days that the site's settings say now. */
import { randomUUID } from 'node:crypto'
import type { ConfigBook } from '@millrace/config'
import { describeRoutes, type Server } from '@millrace/server'
import { dateOfDay, dayOfDate, MillraceError } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { readDue } from '../deletion/due.ts'
import { countHidden } from '../deletion/hide.ts'
import { addDeletionRoutes } from '../deletion/register.ts'
import { findZone } from '../query/zones.ts'
import { REBUILD_OPERATIONS } from './operations.ts'
import { lastClosedDay, planRebuild, type RebuildPlan } from './plan.ts'
import type { RebuildCounts } from './progress.ts'
import { type Rebuilds, startRebuilds } from './run.ts'
import { allowedSite, asking, fieldsOf, type OfSite, readJson, wrong } from './site-requests.ts'
import { countRebuild, withoutOpenSessions } from './steps.ts'

export interface RebuildApi {
  readonly server: Pick<Server, 'app' | 'logger'>
  readonly store: Store
  readonly config: Pick<ConfigBook, 'settingsOf'>
  /** What holds for sites that do not say. */
  readonly settings: { readonly MILLRACE_TIMEZONE: string; readonly MILLRACE_RETENTION_DAYS: number }
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
  readonly clock?: () => number
}

const MAX_BODY_BYTES = 64 * 1024
interface Wanted {
  readonly from: number | null
  readonly to: number | null
  readonly dryRun: boolean
}

/**
 * Adds POST and GET /v1/sites/SITE/rebuild and /v1/sites/SITE/deletions, continues what was interrupted, and deletes what is
 * hidden when its days are closed. Guard /v1/sites, call this before the server listens, and close it before the store.
 */
export function registerRebuildApi(api: RebuildApi): Rebuilds {
  const rebuilds = startRebuilds({ store: api.store, logger: api.server.logger, due: () => plansOfDue(api) })
  describeRoutes(api.server.app, REBUILD_OPERATIONS)
  api.server.app.register(async (app) => {
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('application/json', { parseAs: 'buffer', bodyLimit: MAX_BODY_BYTES }, readJson)
    app.addHook('onSend', async (_request, reply) => {
      reply.header('cache-control', 'no-store')
    })
    app.get<OfSite>('/v1/sites/:id/rebuild', async (request, reply) => {
      const status = await asking(() => rebuilds.status(allowedSite(request)))
      if (!status) throw new MillraceError('not_found', 'The site was never rebuilt.')
      const { rebuild, runs } = status
      const state = rebuild.state === 'done' ? 'done' : runs ? 'running' : 'interrupted'
      return reply.send({ ...show(rebuild.plan, rebuild.counts), state })
    })
    app.post<OfSite>('/v1/sites/:id/rebuild', async (request, reply) => {
      const site = allowedSite(request)
      const wanted = readWanted(request.body)
      const plan = await asking(() => planFor(api, site, wanted))
      if (!plan) return reply.send({ site, state: 'nothing_to_do', ...NOTHING })
      if (wanted.dryRun) {
        const counts = await asking(() => countRebuild(api, plan))
        return reply.send({ ...show(plan, counts), state: 'dry_run' })
      }
      const begun = await asking(() => rebuilds.begin(plan))
      if (!begun) throw new MillraceError('rebuild_running', 'A rebuild runs already. Ask again when it is done.')
      api.server.logger.info({ audit: true, site, rebuild: plan.id }, 'rebuild begun')
      return reply.code(202).send({ ...show(begun.plan, begun.counts), state: 'running' })
    })
    addDeletionRoutes(app, api, rebuilds)
  })
  return rebuilds
}

const NOTHING: RebuildCounts = {
  hits_kept: 0,
  hits_moved: 0,
  hits_deleted: 0,
  sessions_kept: 0,
  sessions_moved: 0,
  sessions_deleted: 0,
}

const show = ({ id, site, zone, from, to, keepFrom }: RebuildPlan, counts: RebuildCounts) => ({
  id,
  site,
  timezone: zone,
  ...(from > 0 && { from: dateOfDay(from) }),
  to: dateOfDay(to),
  ...(keepFrom > 0 && { keep_from: dateOfDay(keepFrom) }),
  ...counts,
})

/** null = none of the days is closed. @throws MillraceError site_unknown */
async function planFor(
  api: RebuildApi,
  site: string,
  wanted: Pick<Wanted, 'from' | 'to'>,
): Promise<RebuildPlan | null> {
  if (!api.config.settingsOf(site)) throw new MillraceError('site_unknown', 'There is no site with this id.')
  return planClosed(api, site, wanted, await api.completeUntil())
}

/** By what the site says now; one that was removed is rebuilt as the installation says. */
async function planClosed(
  api: RebuildApi,
  site: string,
  { from, to }: Pick<Wanted, 'from' | 'to'>,
  completeUntilMs: number,
): Promise<RebuildPlan | null> {
  const said = api.config.settingsOf(site)
  const zone = findZone(said?.timezone || api.settings.MILLRACE_TIMEZONE)
  if (!zone) throw new MillraceError('timezone_unknown', 'The time zone of the site is not known here.')
  const own = said?.retention_days ?? 0
  const retentionDays = own === -1 ? api.settings.MILLRACE_RETENTION_DAYS : own
  const wish = { id: randomUUID(), site, zone, retentionDays, from, to }
  const plan = planRebuild(wish, (api.clock ?? Date.now)(), completeUntilMs)
  return plan && withoutOpenSessions(api, plan, completeUntilMs)
}

/** The rebuilds that delete what is hidden, as far as its days are closed. */
async function plansOfDue(api: RebuildApi): Promise<RebuildPlan[]> {
  if ((await countHidden(api.store)) === 0) return []
  const complete = await api.completeUntil()
  const plans: RebuildPlan[] = []
  const closed = lastClosedDay(Math.min((api.clock ?? Date.now)(), complete))
  for (const { site, from, to } of await readDue(api.store, closed)) {
    const plan = await planClosed(api, site, { from, to }, complete)
    // Shortened, because sessions in it may still change: then it waits, all of it.
    if (plan && plan.to === to) plans.push(plan)
  }
  return plans
}

function readWanted(body: unknown): Wanted {
  const { from, to, dry_run: dryRun = false, ...more } = fieldsOf(body)
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw wrong(unknown, 'is not known')
  if (typeof dryRun !== 'boolean') throw wrong('dry_run', 'must be true or false')
  const wanted = { from: readDay('from', from), to: readDay('to', to), dryRun }
  if (wanted.from !== null && wanted.to !== null && wanted.from > wanted.to) throw wrong('to', 'is before from')
  return wanted
}

function readDay(name: string, value: unknown): number | null {
  if (value === undefined || value === null) return null
  const day = typeof value === 'string' && /^\d{4}-\d\d-\d\d$/.test(value) ? dayOfDate(value) : Number.NaN
  if (Number.isNaN(day) || dateOfDay(day) !== value) throw wrong(name, 'must be a date such as 2026-11-22')
  return day
}
