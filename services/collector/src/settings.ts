import type { Setting, SettingsOf, SettingsSpec } from '@millrace/shared'
import { NO_TRUSTED_PROXIES, parseTrustedProxies, type TrustedProxies } from './client-address.ts'

const trustedProxies: Setting<TrustedProxies> = {
  parse: parseTrustedProxies,
  fallback: NO_TRUSTED_PROXIES,
  shown: 'empty',
  description:
    'Proxies whose X-Forwarded-For is believed: a comma-separated list of addresses and networks, or how many proxies stand in front; empty = none',
}

/** What the collector reads beside the settings of its server. */
export const COLLECTOR_SETTINGS = { MILLRACE_TRUSTED_PROXIES: trustedProxies } satisfies SettingsSpec

export type CollectorSettings = SettingsOf<typeof COLLECTOR_SETTINGS>
