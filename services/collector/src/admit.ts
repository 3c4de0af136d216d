import type { ConfigBook } from '@millrace/config'
import type { ErrorCode, SiteSettings, WireHit } from '@millrace/shared'
import { normaliseAddress } from './address-text.ts'
import { type AllowedHosts, createAllowedHosts, hostOf } from './allowed-hosts.ts'
import { isAssetUrl } from './asset-path.ts'
import { honourSignals, type IgnoreReason, NO_SIGNALS, type PrivacySignals, readSignals } from './privacy-signals.ts'
import type { RateLimit } from './rate-limit.ts'
import type { Caller } from './read-caller.ts'
import { DEFAULT_SITE } from './stamp-lines.ts'
import type { ReadHits, RefusedHit } from './validate-hits.ts'
import { headersOfHit } from './visitor-of-hit.ts'

/** Who asks for hits to be taken. */
export interface Asking {
  readonly caller: Caller
  readonly origin: string | undefined
  /** Of the request: a visitor's, but for hits that bring headers of their own. */
  readonly signals: PrivacySignals
  readonly nowMs: number
}

/** One hit that the site's settings leave out: no error. */
export interface IgnoredHit {
  readonly index: number
  readonly reason: IgnoreReason
}

/** What became of each hit of a request. */
export interface Admitted {
  readonly hits: readonly WireHit[]
  /** In the order of the request, with those that were refused before. */
  readonly refused: readonly RefusedHit[]
  readonly ignored: readonly IgnoredHit[]
  /** Which page may read the answer: any, the one that sent it, or none. */
  readonly readableBy: 'any' | 'origin' | 'none'
  /** Of the first hit; '' where there is none. */
  readonly site: string
  /** The first site of which a hit was refused because it has had its share; null = none. */
  readonly limitedSite: string | null
}

export interface AdmissionOptions {
  readonly config: Pick<ConfigBook, 'settingsOf'>
  /** By site; null = no limit. */
  readonly siteLimit: RateLimit | null
}

/** What a site's settings mean for its hits, made ready once. */
interface Policy {
  readonly settings: SiteSettings
  /** null = any. */
  readonly hosts: AllowedHosts | null
  /** Nothing to look at but the visitor's own wishes. */
  readonly isOpen: boolean
}

type Refusal = Pick<RefusedHit, 'code' | 'detail'> & { readonly field: string }
type Verdict = Refusal | IgnoreReason | null

const NOTHING_IGNORED: readonly IgnoredHit[] = []

/**
 * Decides of every valid hit whether its site takes it. Each hit is judged by itself: site, key, host, the visitor's
 * wishes, path, rate. The common hit, of an open site, costs two look-ups.
 */
export class Admission {
  readonly #config: AdmissionOptions['config']
  readonly #siteLimit: RateLimit | null
  /** Of known sites only; one is made anew when the site's settings are another object. */
  readonly #policies = new Map<string, Policy>()

  constructor({ config, siteLimit }: AdmissionOptions) {
    this.#config = config
    this.#siteLimit = siteLimit
  }

  admit(read: ReadHits, asking: Asking): Admitted {
    const { hits, refused } = read
    let restricted = false
    let firstSite = ''
    let sorted: Sorted | null = null
    for (let i = 0; i < hits.length; i++) {
      const hit = hits[i]!
      const site = siteOf(hit, asking.caller)
      if (i === 0) firstSite = site
      const policy = this.#policyOf(site)
      if (policy !== null && policy.hosts !== null) restricted = true
      const verdict = this.#judge(hit, policy, asking)
      if (verdict === null) sorted?.hits.push(hit)
      else {
        sorted ??= new Sorted(read, i)
        sorted.add(hit, i, verdict)
      }
    }
    const readableBy = restricted ? this.#readableBy(hits, asking) : 'any'
    if (sorted !== null) return sorted.result(firstSite, readableBy)
    return { hits, refused, ignored: NOTHING_IGNORED, readableBy, site: firstSite, limitedSite: null }
  }

  #policyOf(site: string): Policy | null {
    const settings = this.#config.settingsOf(site)
    if (settings === null) return null
    const known = this.#policies.get(site)
    if (known !== undefined && known.settings === settings) return known
    const hosts = createAllowedHosts(settings.hostnames)
    const isOpen = hosts === null && !settings.ingest_key_required && !settings.ignore_asset_paths
    const policy = { settings, hosts, isOpen }
    this.#policies.set(site, policy)
    return policy
  }

  #judge(hit: WireHit, policy: Policy | null, asking: Asking): Verdict {
    if (policy === null) return UNKNOWN
    const { caller, signals } = asking
    if (!policy.isOpen || caller !== null) {
      const refusal = refuseCaller(hit, policy, asking)
      if (refusal !== null) return refusal
    }
    if (hit.user !== undefined && !policy.settings.user_ids) hit.user = undefined
    const wish = caller === null ? signals : signalsOf(hit, signals)
    if (wish !== NO_SIGNALS) {
      const reason = honourSignals(wish, policy.settings)
      if (reason !== null) return reason
    }
    if (policy.settings.ignore_asset_paths && isAsset(hit)) return 'asset_path'
    if (this.#siteLimit === null || this.#siteLimit.take(hit.site ?? DEFAULT_SITE, 1, asking.nowMs)) return null
    return LIMITED
  }

  /** A page may read what became of its hits where every site that it named takes hits from it. */
  #readableBy(hits: readonly WireHit[], { caller, origin }: Asking): Admitted['readableBy'] {
    if (origin === undefined) return 'none'
    for (const hit of hits) {
      const policy = this.#policyOf(siteOf(hit, caller))
      if (policy !== null && !isOriginAllowed(policy, origin)) return 'none'
    }
    return 'origin'
  }
}

/** The site of a hit; a key that is for one site lends it to hits that name none. */
function siteOf(hit: WireHit, caller: Caller): string {
  if (hit.site !== undefined) return hit.site
  if (caller === null || caller.sites.length !== 1) return DEFAULT_SITE
  hit.site = caller.sites[0]!
  return hit.site
}

const UNKNOWN: Refusal = { code: 'site_unknown', field: 'site', detail: 'is no site of this installation' }
const LIMITED: Refusal = { code: 'rate_limited', field: '', detail: 'is one more than the site may take now' }
const KEYLESS: Refusal = { code: 'unauthorized', field: 'site', detail: 'takes hits with an ingest key only' }
const FOREIGN: Refusal = { code: 'forbidden', field: 'site', detail: 'is none of the sites of this key' }
const OTHER_HOST: Refusal = {
  code: 'hostname_not_allowed',
  field: 'url',
  detail: 'must be of a hostname that the site allows',
}
const OTHER_ORIGIN: Refusal = {
  code: 'hostname_not_allowed',
  field: '',
  detail: 'comes from a page (Origin) of a hostname that the site does not allow',
}
const NO_ADDRESS: Refusal = { code: 'field_invalid', field: 'ip', detail: 'must be an IP address' }

function refuseCaller(hit: WireHit, { settings, hosts }: Policy, asking: Asking): Refusal | null {
  const { caller, origin } = asking
  if (caller === null) {
    if (settings.ingest_key_required) return KEYLESS
    if (hosts !== null && origin !== undefined && !isAllowed(hosts, origin)) return OTHER_ORIGIN
  } else {
    if (caller.sites.length > 0 && !caller.sites.includes(hit.site ?? DEFAULT_SITE)) return FOREIGN
    if (hit.ip !== undefined && normaliseAddress(hit.ip) === null) return NO_ADDRESS
  }
  return hosts === null || hit.url === undefined || hosts(hostOf(hit.url)) ? null : OTHER_HOST
}

const isOriginAllowed = ({ hosts }: Policy, origin: string): boolean => hosts === null || isAllowed(hosts, origin)

/**
 * `null` says that the browser keeps the origin to itself (a sandboxed frame, beacons of a page with the referrer policy
 * no-referrer): then the url has to do, as it does for senders that are no browsers.
 */
const isAllowed = (hosts: AllowedHosts, origin: string): boolean => origin === 'null' || hosts(hostOf(origin))

/** Those of the visitor, whom a server speaks for: its own headers are the visitor's only if it passes them on as they are. */
function signalsOf(hit: WireHit, ofRequest: PrivacySignals): PrivacySignals {
  const headers = headersOfHit(hit)
  return headers === null ? ofRequest : readSignals(headers)
}

const isAsset = (hit: WireHit): boolean =>
  hit.type !== 'event' && hit.type !== 'engagement' && hit.url !== undefined && isAssetUrl(hit.url)

/** The hits of a request of which not all are taken. */
class Sorted {
  readonly hits: WireHit[]
  readonly #refused: RefusedHit[]
  readonly #ignored: IgnoredHit[] = []
  readonly #indexes: readonly number[]
  readonly #listed: boolean
  #limitedSite: string | null = null

  /** `taken`: how many were before the first that is not. */
  constructor(read: ReadHits, taken: number) {
    this.hits = read.hits.slice(0, taken)
    this.#refused = [...read.refused]
    this.#indexes = indexesOf(read)
    this.#listed = read.listed
  }

  add(hit: WireHit, position: number, verdict: Refusal | IgnoreReason): void {
    const index = this.#indexes[position]!
    if (typeof verdict === 'string') {
      this.#ignored.push({ index, reason: verdict })
      return
    }
    const { code, field, detail } = verdict
    if (code === 'rate_limited') this.#limitedSite ??= hit.site ?? DEFAULT_SITE
    const pointer = `${this.#listed ? `/hits/${index}` : ''}${field === '' ? '' : `/${field}`}`
    this.#refused.push({ index, code: code satisfies ErrorCode, pointer, detail })
  }

  result(site: string, readableBy: Admitted['readableBy']): Admitted {
    const refused = this.#refused.sort((a, b) => a.index - b.index)
    return { hits: this.hits, refused, ignored: this.#ignored, readableBy, site, limitedSite: this.#limitedSite }
  }
}

/** The places in the request of the hits that were valid. */
function indexesOf({ hits, refused }: ReadHits): number[] {
  const gone = new Set(refused.map(({ index }) => index))
  const indexes: number[] = []
  for (let index = 0; indexes.length < hits.length; index++) if (!gone.has(index)) indexes.push(index)
  return indexes
}
