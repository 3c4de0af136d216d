import type { SiteSettings } from '@millrace/shared'
import { type Campaign, clickIdOf, readCampaign } from './campaign.ts'
import { type Channel, channelOf } from './channel.ts'
import type { Page } from './page.ts'
import type { Referrer } from './referrer.ts'
import { isSameSite } from './site.ts'
import { SOURCES, type Source, type SourceTable } from './sources.ts'

/** How a visitor came: what a session repeats on each of its hits. '' = not said. */
export interface Arrival {
  /** Cleaned referrer of another site, '' for the site's own pages. */
  readonly referrer: string
  /** What two referrers are compared by: the name of the source, else the host. '' without a referrer. */
  readonly source: string
  /** The same; without a referrer the name of the source that utm_source or a click id tells. */
  readonly referrerName: string
  /** '' for an engagement signal, which brings nobody. */
  readonly channel: Channel | ''
  readonly utmSource: string
  readonly utmMedium: string
  readonly utmCampaign: string
  readonly utmContent: string
  readonly utmTerm: string
  readonly clickIdKind: string
}

/** Nothing said and nobody brought: what engagement signals have. */
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

/** Nothing said: most page views, one object for all of them. */
export const DIRECT: Arrival = { ...NO_ARRIVAL, channel: 'Direct' }

const NO_CAMPAIGN: Campaign = { source: '', medium: '', campaign: '', content: '', term: '', clickIdKind: '' }

/** A host as people write it. */
const plainName = (host: string): string => (host.startsWith('www.') ? host.slice(4) : host)

/** The source that a referrer is of; null = none that the table knows. */
function sourceOf(referrer: Referrer, sources: SourceTable): Source | null {
  return referrer.isApp ? sources.ofApp(referrer.hostname) : sources.ofHost(referrer.hostname)
}

/** What the page's own url and the referrer, if it is another site's, say of how the visitor came. */
export function readArrival(page: Page, referrer: Referrer, site: SiteSettings, sources = SOURCES): Arrival {
  const isInternal =
    referrer.hostname !== '' && !referrer.isApp && isSameSite(referrer.hostname, page.hostname, site.hostnames)
  const external = referrer.hostname !== '' && !isInternal
  const campaign = readCampaign(page.query, {
    plainNames: !isInternal,
    aliases: site.campaign_aliases,
    mask: site.mask_values,
  })
  if (!external && campaign === null) return DIRECT

  const { source: tag, medium, campaign: name, content, term, clickIdKind } = campaign ?? NO_CAMPAIGN
  const referring = external ? sourceOf(referrer, sources) : null
  const tagged = tag === '' ? null : sources.ofTag(tag)
  const click = clickIdOf(clickIdKind)
  const clicked = click === null ? null : sources.ofTag(click.source)
  const source = external ? (referring?.name ?? plainName(referrer.hostname)) : ''
  return {
    referrer: external ? referrer.url : '',
    source,
    referrerName: source || (tagged ?? clicked)?.name || '',
    channel: channelOf({
      ...{ medium, campaign: name, tag, external },
      tagKind: tagged?.kind ?? null,
      clickKind: clicked?.kind ?? null,
      clickPaid: click?.paid ?? false,
      referrerKind: referring?.kind ?? null,
    }),
    utmSource: tag,
    utmMedium: medium,
    utmCampaign: name,
    utmContent: content,
    utmTerm: term,
    clickIdKind,
  }
}

/**
 * Whether `arrival` starts a new session beside one that came by `known`: its referrer's source or one of its UTM values
 * is not empty and differs. Empty values never differ; a value that meets an empty one does.
 */
export function bringsNewArrival(arrival: Arrival, known: Arrival): boolean {
  if (arrival === DIRECT || arrival === NO_ARRIVAL) return false
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
