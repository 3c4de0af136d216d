/** /v1/sites/SITE/deletions: deletes the hits that a filter chooses. */
import { randomUUID } from 'node:crypto'
import type { ConfigBook } from '@millrace/config'
import type { Server } from '@millrace/server'
import { type FieldError, MillraceError } from '@millrace/shared'
import { type Store, StoreRefused } from '@millrace/store'
import { checkPatterns } from '../query/check-patterns.ts'
import { showFilter } from '../query/filter.ts'
import { LIMIT_CODES } from '../query/limits.ts'
import { parseQuery } from '../query/parse-query.ts'
import { lastClosedDay } from '../rebuild/plan.ts'
import type { Rebuilds } from '../rebuild/run.ts'
import { allowedSite, asking, fieldsOf, type OfSite, wrong } from '../rebuild/site-requests.ts'
import { DUE_MARGIN_DAYS } from '../rebuild/statements.ts'
import { type Deletion, readDeletions, type StoredDeletion } from './deletions.ts'
import { countHidden, type DayCounts, previewDeletion } from './hide.ts'

interface DeletionApi {
  readonly server: Pick<Server, 'logger'>
  readonly store: Store
  readonly config: Pick<ConfigBook, 'settingsOf'>
  /** What holds for sites that do not say. */
  readonly settings: { readonly MILLRACE_TIMEZONE: string }
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
  readonly clock?: () => number
}

/** Rows that may wait for their deletion, of all sites: a query about one of these needs up to 32 bytes for each. */
const MAX_HIDDEN = 5_000_000

interface OfDeletion {
  Params: { id: string; deletion: string }
}

/** Adds the routes to an app whose bodies are JSON. */
export function addDeletionRoutes(app: Server['app'], api: DeletionApi, rebuilds: Rebuilds): void {
  app.get<OfSite>('/v1/sites/:id/deletions', async (request, reply) => {
    const site = allowedSite(request)
    const deletions = await asking(() => readDeletions(api.store, site))
    return reply.send({ deletions: deletions.map(show) })
  })
  app.post<OfSite>('/v1/sites/:id/deletions', async (request, reply) => {
    const site = allowedSite(request)
    const { deletion, preview } = await readDeletion(api, site, request.body)
    const complete = await api.completeUntil()
    const { days, totals } = await counting(() => previewDeletion(api.store, deletion))
    const shown = {
      ...shownDeletion(deletion),
      ...totals,
      days: days.map((day) => ({ ...day, closed: isClosed(day, complete) })),
    }
    if (preview || totals.rows === 0)
      return reply.send({ ...shown, state: preview ? 'preview' : 'nothing_to_do', complete_until: timeText(complete) })
    if ((await asking(() => countHidden(api.store))) + totals.rows > MAX_HIDDEN)
      throw new MillraceError(
        'query_too_large',
        `At most ${MAX_HIDDEN} rows may wait for their deletion: delete some of the period first.`,
      )
    const counts = { hits: totals.page_views + totals.events, visitors: totals.visitors, sessions: totals.sessions }
    if (!(await counting(() => rebuilds.hide(deletion, counts)))) throw busy()
    rebuilds.lookForDue()
    return reply.code(202).send({ id: deletion.id, ...shown, state: 'hidden', complete_until: timeText(complete) })
  })
  app.delete<OfDeletion>('/v1/sites/:id/deletions/:deletion', async (request, reply) => {
    const site = allowedSite(request)
    const all = await asking(() => readDeletions(api.store, site))
    const stored = all.find(({ deletion }) => deletion.id === request.params.deletion)
    if (!stored) throw new MillraceError('not_found', 'The site has no deletion with this id.')
    if (!(await asking(() => rebuilds.revoke(stored)))) throw busy()
    return reply.code(204).send()
  })
}

const busy = (): MillraceError =>
  new MillraceError('rebuild_running', 'A rebuild or deletion runs already. Ask again when it is done.')

/** A day is closed when what is hidden of it can be deleted. */
const isClosed = ({ date }: DayCounts, complete: number): boolean =>
  Date.parse(date) / 86_400_000 + DUE_MARGIN_DAYS <= lastClosedDay(complete)

/** As asking, and who asks for too much is told so. */
async function counting<T>(ask: () => Promise<T>): Promise<T> {
  return asking(async () => {
    try {
      return await ask()
    } catch (error) {
      if (!(error instanceof StoreRefused && LIMIT_CODES.includes(error.code))) throw error
      throw new MillraceError(
        'query_too_large',
        'The deletion needs more time or memory than one may use: ask for a shorter period.',
      )
    }
  })
}

/** What a body asks for. @throws MillraceError naming every mistake */
async function readDeletion(
  api: DeletionApi,
  site: string,
  body: unknown,
): Promise<{ deletion: Deletion; preview: boolean }> {
  const said = api.config.settingsOf(site)
  if (!said) throw new MillraceError('site_unknown', 'There is no site with this id.')
  const { from = 0, to = (api.clock ?? Date.now)() + 1, filter, timezone, preview = false, ...more } = fieldsOf(body)
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw wrong(unknown, 'is not known')
  if (typeof preview !== 'boolean') throw wrong('preview', 'must be true or false')
  if (filter === undefined) throw wrong('filter', 'is missing: say which hits are to be deleted')
  const siteZone = said.timezone || api.settings.MILLRACE_TIMEZONE
  const asked = {
    site,
    period: { from, to },
    filter,
    metrics: ['page_views'],
    ...(timezone !== undefined && { timezone }),
  }
  const query = ofOwnFields(() => parseQuery(asked, { nowMs: (api.clock ?? Date.now)(), siteZone }))
  await asking(() => checkPatterns(query.filter, api.store))
  const { fromMs, toMs } = query.range!
  const deletion = { id: randomUUID(), site, zone: query.zone.zone, fromMs, toMs, filter: showFilter(query.filter!) }
  return { deletion, preview }
}

/** A query's mistakes as those of our body, which has no period. */
function ofOwnFields<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (!(error instanceof MillraceError) || !error.errors) throw error
    const errors = error.errors.map(
      (one): FieldError => ({ ...one, pointer: one.pointer.replace(/^\/period(?=\/)/, '') }),
    )
    const detail = errors.map(({ pointer, detail: said }) => `${pointer} ${said}`).join('; ')
    throw new MillraceError(error.code, `${detail}.`, errors)
  }
}

const timeText = (ms: number): string => new Date(ms).toISOString()

const shownDeletion = ({ site, zone, fromMs, toMs, filter }: Deletion) => ({
  site,
  from: timeText(fromMs),
  to: timeText(toMs),
  timezone: zone,
  filter,
})

/** `done` = nothing of it is on disk any more. */
const show = ({ deletion, state, counts, atMs, waiting }: StoredDeletion) => ({
  id: deletion.id,
  ...shownDeletion(deletion),
  ...counts,
  updated_at: timeText(atMs),
  waiting,
  state: state === 'hidden' && waiting === 0 ? 'done' : state,
})
