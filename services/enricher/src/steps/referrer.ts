import { NO_RULES, type Rule, referrerRulesOf } from './bots.ts'
import { MAX_HOST, parsePage, readUrl } from './page.ts'
import { Remembered } from './remembered.ts'
import { isSpamReferrer } from './spam.ts'
import { detach, MAX_REFERRER, readText } from './text.ts'

/** A referrer without what may name a person. `url` = scheme, host and path; `hostname` decides whether it is another site. */
export interface Referrer {
  readonly url: string
  readonly hostname: string
  /** `hostname` is the package name of an Android app. */
  readonly isApp: boolean
}

/** None. */
export const NO_REFERRER: Referrer = { url: '', hostname: '', isApp: false }
const APP_SCHEME = 'android-app:'
/** What a visitor can come from; pages of browsers, extensions and files are no source. */
const SCHEMES = ['https:', 'http:', APP_SCHEME, 'ios-app:']

/** Where people come from repeats itself, above all within a site. */
const referrers = new Remembered<SeenReferrer>(10_000)
const MAX_REMEMBERED_REFERRER = 512

/** A cleaned referrer with the bot rules that it breaks. */
export interface SeenReferrer {
  readonly referrer: Referrer
  readonly rules: readonly Rule[]
}
const NONE_SEEN: SeenReferrer = { referrer: NO_REFERRER, rules: NO_RULES }

/** As `cleanReferrer`, and most often the same object for the same text. */
export function readReferrer(sent: unknown): SeenReferrer {
  if (typeof sent !== 'string' || sent === '') return NONE_SEEN
  const known = referrers.get(sent)
  if (known !== undefined) return known
  const referrer = cleanReferrer(sent)
  const spamReferrer = referrer.hostname !== '' && isSpamReferrer(referrer.hostname)
  const seen = { referrer, rules: referrerRulesOf({ referrer: sent, spamReferrer }) }
  if (sent.length <= MAX_REMEMBERED_REFERRER) referrers.set(sent, seen)
  return seen
}

/** Cleans a referrer: no user, no query, no fragment, at most 1,024 units. Anything but a web page or an app is none. */
export function cleanReferrer(referrer: unknown): Referrer {
  if (typeof referrer !== 'string' || referrer === '') return NO_REFERRER
  if (referrer.length <= MAX_REFERRER) {
    const page = parsePage(referrer, true)
    if (page !== null && page.hostname.length <= MAX_HOST && referrer.endsWith(`//${page.hostname}${page.path}`))
      return { url: referrer, hostname: page.hostname, isApp: false }
  }
  const url = readUrl(referrer)
  if (url === null || !SCHEMES.includes(url.protocol)) return NO_REFERRER
  if (url.hostname === '' || url.hostname.length > MAX_HOST) return NO_REFERRER
  return {
    url: detach(readText(`${url.protocol}//${url.host}${url.pathname}`, MAX_REFERRER)),
    hostname: detach(url.hostname),
    isApp: url.protocol === APP_SCHEME,
  }
}
