import { readFileSync } from 'node:fs'
import { integer, type Setting, type SettingsOf, type SettingsSpec, secret, text, timeZone } from '@millrace/shared'
import { NetworkList } from './steps/bots-networks.ts'

const FINGERPRINT_INPUTS: readonly string[] = ['accept-language', 'accept-encoding']
const MIN_KEY_LENGTH = 32

const fingerprintKey: Setting<string> = {
  ...secret(
    'Your own key for visitor ids instead of random salts that are deleted: ids can be recomputed by whoever has it, see docs/privacy.md',
  ),
  parse(value) {
    if (value.length < MIN_KEY_LENGTH) throw new Error(`must have at least ${MIN_KEY_LENGTH} characters`)
    return value
  },
}

const fingerprintInputs: Setting<readonly string[]> = {
  parse(value) {
    const names = [...new Set(value.split(',').map((name) => name.trim().toLowerCase()))]
    if (!names.every((name) => FINGERPRINT_INPUTS.includes(name))) {
      throw new Error(`must be a comma-separated list of ${FINGERPRINT_INPUTS.join(', ')}`)
    }
    return FINGERPRINT_INPUTS.filter((name) => names.includes(name))
  },
  fallback: [],
  shown: 'empty',
  description: `What tells visitors apart beside site, address and user agent: a comma-separated list of ${FINGERPRINT_INPUTS.map((name) => `\`${name}\``).join(', ')}`,
}

const datacenterNetworks: Setting<NetworkList | null> = {
  parse(path) {
    let list: string
    try {
      list = readFileSync(path, 'utf8')
    } catch {
      throw new Error('names a file that cannot be read')
    }
    try {
      return NetworkList.parse(list)
    } catch (error) {
      throw new Error(`names a file whose ${(error as Error).message}`)
    }
  },
  fallback: null,
  shown: 'empty',
  description:
    'Path of a list of networks (CIDR, one a line, `#` begins a comment) whose visitors are bots with the reason `datacenter_ip`; read at start',
}

/** What the enricher is told. Zone and timeout are for sites that do not say. */
export const ENRICHER_SETTINGS = {
  MILLRACE_TIMEZONE: timeZone('UTC', 'Time zone of sites that do not say; their days begin and end in it'),
  MILLRACE_SESSION_TIMEOUT_MINUTES: integer(
    30,
    1,
    720,
    'Minutes without a hit that end a session, for sites that do not say',
  ),
  MILLRACE_GEO_DATABASE: {
    ...text('', 'Path of a City or Country database (.mmdb: GeoLite2, GeoIP2, DB-IP), read again when it is replaced'),
    shown: 'built-in country data',
  },
  MILLRACE_DATACENTER_NETWORKS: datacenterNetworks,
  MILLRACE_FINGERPRINT_KEY: fingerprintKey,
  MILLRACE_FINGERPRINT_INPUTS: fingerprintInputs,
} as const satisfies SettingsSpec

export type EnricherSettings = SettingsOf<typeof ENRICHER_SETTINGS>
