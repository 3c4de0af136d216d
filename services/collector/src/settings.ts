import { integer, type Setting, type SettingsOf, type SettingsSpec } from '@millrace/shared'
import {
  DEFAULT_ADDRESS_HEADERS,
  NO_TRUSTED_PROXIES,
  parseAddressHeaders,
  parseTrustedProxies,
  type TrustedProxies,
} from './trusted-proxies.ts'

const trustedProxies: Setting<TrustedProxies> = {
  parse: parseTrustedProxies,
  fallback: NO_TRUSTED_PROXIES,
  shown: 'empty',
  description:
    'Proxies that may name the client: a comma-separated list of addresses and networks, or how many proxies stand in front; empty = none',
}

const addressHeaders: Setting<readonly string[]> = {
  parse: parseAddressHeaders,
  fallback: DEFAULT_ADDRESS_HEADERS,
  shown: DEFAULT_ADDRESS_HEADERS.join(', '),
  description:
    'Headers of trusted proxies that name the client, the first one counts: such as `x-real-ip`, `cf-connecting-ip`, `true-client-ip`. Only those that the proxy overwrites: any other can be forged',
}

/** How many hits one address may send. */
export interface AddressLimit {
  /** Hits per second; 0 = any number. */
  readonly perSecond: number
  /** Loopback and private addresses too. */
  readonly everyAddress: boolean
}

const DEFAULT_PER_ADDRESS = 1_000
const MAX_PER_SECOND = 1_000_000
const hitsPerSecond = (description: string): Setting<number> => integer(0, 0, MAX_PER_SECOND, description)

const perAddress: Setting<AddressLimit> = {
  parse: (text) => ({ perSecond: hitsPerSecond('').parse(text), everyAddress: true }),
  // A private address is as a rule a proxy that nobody named: all visitors would share one limit.
  fallback: { perSecond: DEFAULT_PER_ADDRESS, everyAddress: false },
  shown: String(DEFAULT_PER_ADDRESS),
  description:
    'Hits a second that an address (of IPv6: a /64 network) may send without an ingest key, ten times as many at once; 0 = any number. Unless this is set, loopback and private addresses are not limited',
}

/** What the collector reads beside the settings of its server. */
export const COLLECTOR_SETTINGS = {
  MILLRACE_TRUSTED_PROXIES: trustedProxies,
  MILLRACE_CLIENT_ADDRESS_HEADER: addressHeaders,
  MILLRACE_RATE_LIMIT_PER_ADDRESS: perAddress,
  MILLRACE_RATE_LIMIT_PER_SITE: hitsPerSecond(
    'Hits a second that a site takes in each collector, ten times as many at once; 0 = any number',
  ),
  MILLRACE_SPOOL_MAX_MB: integer(
    2048,
    1,
    1_048_576,
    'Size of the spool, where hits wait while the log does not take them, in MiB; when it is full they are answered with 503',
  ),
} satisfies SettingsSpec

export type CollectorSettings = SettingsOf<typeof COLLECTOR_SETTINGS>
