import type { ConfigBook } from '@millrace/config'
import { DEFAULT_SITE_SETTINGS, LocalDays, type SiteSettings } from '@millrace/shared'
import type { SiteRules } from './sessions/step.ts'
import type { EnricherSettings } from './settings.ts'
import { rateLimitOf } from './steps/request-rate.ts'

const MINUTE_MS = 60_000
/** More than IANA has names. */
const MAX_ZONES = 1_000

/** What holds for the sites at this moment. */
export interface RulesOfSites {
  /** Those of an unknown site are the installation's. The same object until the site changes. */
  rulesOf(site: string): SiteRules
  /** The longest session timeout of any site. */
  maxSessionTimeoutMs(): number
}

type Installation = Pick<EnricherSettings, 'MILLRACE_TIMEZONE' | 'MILLRACE_SESSION_TIMEOUT_MINUTES'>

/** Reads the rules out of the book, each once, and again when the site changes. */
export function rulesOfSites(
  book: Pick<ConfigBook, 'settingsOf' | 'sites' | 'onChange'>,
  installation: Installation,
): RulesOfSites {
  const zones = new Map<string, LocalDays>()
  const known = new Map<string, SiteRules>()

  /** Calendars are dear, and many sites share one. */
  const daysIn = (zone: string): LocalDays => {
    let days = zones.get(zone)
    if (days === undefined) {
      if (zones.size >= MAX_ZONES) zones.clear()
      days = new LocalDays(zone)
      zones.set(zone, days)
    }
    return days
  }
  const timeoutOf = ({ session_timeout_minutes: minutes }: SiteSettings): number =>
    (minutes || installation.MILLRACE_SESSION_TIMEOUT_MINUTES) * MINUTE_MS
  const read = (settings: SiteSettings): SiteRules => ({
    days: daysIn(settings.timezone || installation.MILLRACE_TIMEZONE),
    sessionTimeoutMs: timeoutOf(settings),
    settings,
    rate: rateLimitOf(settings),
  })

  const ofUnknown = read(DEFAULT_SITE_SETTINGS)
  let maxTimeoutMs = 0
  const review = (): void => {
    maxTimeoutMs = ofUnknown.sessionTimeoutMs
    for (const settings of book.sites().values()) maxTimeoutMs = Math.max(maxTimeoutMs, timeoutOf(settings))
    for (const site of known.keys()) if (book.settingsOf(site) === null) known.delete(site)
  }
  review()
  book.onChange(review)

  return {
    rulesOf(site) {
      const settings = book.settingsOf(site)
      if (settings === null) return ofUnknown
      const rules = known.get(site)
      if (rules?.settings === settings) return rules
      const fresh = read(settings)
      known.set(site, fresh)
      return fresh
    },
    maxSessionTimeoutMs: () => maxTimeoutMs,
  }
}
