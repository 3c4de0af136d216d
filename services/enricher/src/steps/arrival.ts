import type { Page } from './page.ts'
import type { Referrer } from './referrer.ts'
import { MAX_CAMPAIGN, readText } from './text.ts'

/** How a visitor came: what a session repeats on each of its hits. '' = not said. */
export interface Arrival {
  /** Cleaned referrer of another site, '' for the site's own pages. */
  readonly referrer: string
  /** What two referrers are compared by: the name of the source, else the host. */
  readonly source: string
  readonly referrerName: string
  readonly channel: string
  readonly utmSource: string
  readonly utmMedium: string
  readonly utmCampaign: string
  readonly utmContent: string
  readonly utmTerm: string
  readonly clickIdKind: string
}

/** Nothing said: most hits, one object for all of them. */
export const NO_ARRIVAL: Arrival = {
  referrer: '',
  source: '',
  referrerName: '',
  channel: '',
  utmSource: '',
  utmMedium: '',
  utmCampaign: '',
  utmContent: '',
  utmTerm: '',
  clickIdKind: '',
}

/** UTM parameters of the page's own url (the first of each name) and the referrer, if it is another host's. */
export function readArrival(page: Page, referrer: Referrer): Arrival {
  const external = referrer.hostname !== page.hostname && referrer.hostname !== ''
  const campaign = page.query.includes('utm_') ? new URLSearchParams(`?${page.query}`) : null
  if (!external && campaign === null) return NO_ARRIVAL
  return {
    referrer: external ? referrer.url : '',
    source: external ? referrer.hostname : '',
    referrerName: '',
    channel: '',
    utmSource: readText(campaign?.get('utm_source'), MAX_CAMPAIGN),
    utmMedium: readText(campaign?.get('utm_medium'), MAX_CAMPAIGN),
    utmCampaign: readText(campaign?.get('utm_campaign'), MAX_CAMPAIGN),
    utmContent: readText(campaign?.get('utm_content'), MAX_CAMPAIGN),
    utmTerm: readText(campaign?.get('utm_term'), MAX_CAMPAIGN),
    clickIdKind: '',
  }
}

/**
 * Whether `arrival` starts a new session beside one that came by `known`: its referrer's source or one of its UTM values
 * is not empty and differs. Empty values never differ; a value that meets an empty one does.
 */
export function bringsNewArrival(arrival: Arrival, known: Arrival): boolean {
  if (arrival === NO_ARRIVAL) return false
  return (
    differs(arrival.source, known.source) ||
    differs(arrival.utmSource, known.utmSource) ||
    differs(arrival.utmMedium, known.utmMedium) ||
    differs(arrival.utmCampaign, known.utmCampaign) ||
    differs(arrival.utmContent, known.utmContent) ||
    differs(arrival.utmTerm, known.utmTerm)
  )
}

const differs = (value: string, known: string): boolean => value !== '' && value !== known
