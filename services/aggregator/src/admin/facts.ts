import type { Server } from '@millrace/server'

/** What the admin API tells operators. */
export interface AdminFacts {
  siteChanged(site: string, how: 'added' | 'changed' | 'removed'): void
  goalChanged(site: string, goal: string, how: 'added' | 'changed' | 'removed'): void
  keyChanged(id: string, how: 'added' | 'revoked'): void
}

/** Who may do what, and when that changed, stays in the log. */
export function adminFacts({ logger }: Pick<Server, 'logger'>): AdminFacts {
  return {
    siteChanged: (site, how) => logger.info({ audit: true, site }, `site ${how}`),
    goalChanged: (site, goal, how) => logger.info({ audit: true, site, goal }, `goal ${how}`),
    keyChanged: (key_id, how) => logger.info({ audit: true, key_id }, `key ${how}`),
  }
}
