import { integer, type Setting, type SettingsOf, type SettingsSpec } from '@millrace/shared'
import { NO_TRUSTED_PROXIES, parseTrustedProxies, type TrustedProxies } from './client-address.ts'

const trustedProxies: Setting<TrustedProxies> = {
  parse: parseTrustedProxies,
  fallback: NO_TRUSTED_PROXIES,
  shown: 'empty',
  description:
    'Proxies whose X-Forwarded-For is believed: a comma-separated list of addresses and networks, or how many proxies stand in front; empty = none',
}

/** What the collector reads beside the settings of its server. */
export const COLLECTOR_SETTINGS = {
  MILLRACE_TRUSTED_PROXIES: trustedProxies,
  MILLRACE_SPOOL_MAX_MB: integer(
    2048,
    1,
    1_048_576,
    'Size of the spool, where hits wait while the log does not take them, in MiB; when it is full they are answered with 503',
  ),
} satisfies SettingsSpec

export type CollectorSettings = SettingsOf<typeof COLLECTOR_SETTINGS>
