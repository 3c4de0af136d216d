import type { ConfigBook } from '@millrace/config'
import { accessOf, type FastifyRequest, isForSite, type Server } from '@millrace/server'
import { DEFAULT_SITE_SETTINGS, MillraceError, SITE_PATTERN } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { goalsFrom } from './goals.ts'
import { DEFAULT_SITE, type ParseContext } from './parse-query.ts'

export interface QueryApi {
  readonly server: Pick<Server, 'app' | 'registry' | 'logger'>
  readonly store: Store
  /** What holds for sites that do not say. */
  readonly settings: { readonly MILLRACE_TIMEZONE: string; readonly MILLRACE_RETENTION_DAYS?: number }
  /** The sites that there are, and their goals; without it there is every site, and none says anything. */
  readonly config?: Pick<ConfigBook, 'settingsOf' | 'goalsOf'>
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
  readonly clock?: () => number
}

/**
 * What the asked site says, to read the query with. A key for one site needs not name it.
 * @throws MillraceError forbidden for a site that the key is not for; site_unknown
 */
export function contextOf(body: unknown, api: QueryApi, request: FastifyRequest, nowMs: number): ParseContext {
  const access = accessOf(request)
  const defaultSite = access.sites.length === 1 ? access.sites[0]! : DEFAULT_SITE
  const asked = (body as { site?: unknown } | null)?.site
  const site = typeof asked === 'string' ? asked : defaultSite
  if (!isForSite(access, site)) throw new MillraceError('forbidden', 'The key is not for this site.')
  const said = api.config ? api.config.settingsOf(site) : DEFAULT_SITE_SETTINGS
  // What is not even the id of a site is named among the other mistakes of the query.
  if (!said && isSiteId(asked ?? site)) throw new MillraceError('site_unknown', 'There is no site with this id.')
  const { timezone = '', include_bots: includeBots = false, retention_days: retention = -1 } = said ?? {}
  return {
    nowMs,
    defaultSite,
    siteZone: timezone || api.settings.MILLRACE_TIMEZONE,
    includeBots,
    retentionDays: retention === -1 ? (api.settings.MILLRACE_RETENTION_DAYS ?? 0) : retention,
    goals: api.config ? goalsFrom(api.config, site) : [],
  }
}

const SITE_ID = new RegExp(SITE_PATTERN)
const isSiteId = (site: unknown): boolean => typeof site === 'string' && SITE_ID.test(site)
