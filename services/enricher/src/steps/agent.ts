import type { BotReason } from '@millrace/shared'
import { isbot } from 'isbot'
import { LRUCache } from 'lru-cache'
import { UAParser } from 'ua-parser-js'

/** What a User-Agent header tells. '' = not told, or a value that browsers have frozen. */
export interface Agent {
  readonly browser: string
  /** Major version. */
  readonly browserVersion: string
  readonly os: string
  readonly osVersion: string
  /** Vendor and model. */
  readonly device: string
  readonly deviceType: 'desktop' | 'phone' | 'tablet' | 'tv' | 'console' | 'wearable' | 'bot' | 'unknown'
  readonly platform: 'desktop' | 'mobile' | 'unknown'
  readonly clientKind: 'browser' | 'library' | 'bot'
  /** '' = a person's. */
  readonly botReason: BotReason | ''
}

/** Headers beyond this are cut before they are looked at: no browser sends longer ones. */
const MAX_HEADER = 1_024
/** Parsing costs 20-50 µs; the distinct headers of a busy hour fit. */
const CACHED_HEADERS = 30_000

/** HTTP libraries and command line tools, by the product token that they send first. */
const LIBRARY =
  /^(?:curl|wget|httpie|python-requests|python-urllib|python-httpx|aiohttp|python|go-http-client|okhttp|java|apache-httpclient|jakarta|axios|node-fetch|node|undici|got|superagent|libwww-perl|lwp|ruby|faraday|guzzlehttp|php|symfony|dart|reqwest|hyper|rust|postmanruntime|insomnia|restsharp|winhttp|powershell|mechanize|perl|typhoeus|deno|bun|ktor-client|unirest)(?:[/ ;(]|-java|$)/i

const BROWSERS: Readonly<Record<string, string>> = {
  'Mobile Safari': 'Safari',
  'Mobile Chrome': 'Chrome',
  'Mobile Firefox': 'Firefox',
  'Chrome Headless': 'Headless Chrome',
}
const SYSTEMS: Readonly<Record<string, string>> = {
  'Mac OS': 'macOS',
  'Chromium OS': 'ChromeOS',
  'Chrome OS': 'ChromeOS',
}
const DEVICE_TYPES: Readonly<Record<string, Agent['deviceType']>> = {
  mobile: 'phone',
  tablet: 'tablet',
  smarttv: 'tv',
  console: 'console',
  wearable: 'wearable',
}
const DESKTOP_SYSTEMS = new Set([
  'Windows',
  'macOS',
  'ChromeOS',
  'Linux',
  'Ubuntu',
  'Fedora',
  'Debian',
  'FreeBSD',
  'OpenBSD',
  'NetBSD',
  'Mint',
  'SUSE',
  'Arch',
  'Gentoo',
  'CentOS',
  'RedHat',
  'Solaris',
])

/** Reads User-Agent headers, each distinct one once as long as it stays among the last 30,000. */
export class AgentReader {
  readonly #known: LRUCache<string, Agent>

  constructor(capacity = CACHED_HEADERS) {
    this.#known = new LRUCache({ max: capacity })
  }

  read(header: string): Agent {
    const text = header.length > MAX_HEADER ? header.slice(0, MAX_HEADER) : header
    let agent = this.#known.get(text)
    if (agent === undefined) {
      agent = readAgent(text)
      this.#known.set(text, agent)
    }
    return agent
  }

  /** Distinct headers held. */
  get size(): number {
    return this.#known.size
  }
}

/** Reads one User-Agent header. Pure; 20-50 µs. */
export function readAgent(header: string): Agent {
  const { browser, os, device } = new UAParser(header).getResult()
  const botReason = judge(header)
  const osName = SYSTEMS[os.name ?? ''] ?? os.name ?? ''
  const deviceType = botReason === 'ua_bot' ? 'bot' : typeOf(device.type, osName)
  return {
    browser: BROWSERS[browser.name ?? ''] ?? browser.name ?? '',
    browserVersion: browser.major ?? '',
    os: osName,
    osVersion: systemVersion(osName, os.version ?? '', header),
    device: [device.vendor, device.model === 'K' ? undefined : device.model].filter(Boolean).join(' '),
    deviceType,
    platform:
      deviceType === 'desktop'
        ? 'desktop'
        : deviceType === 'phone' || deviceType === 'tablet' || deviceType === 'wearable'
          ? 'mobile'
          : 'unknown',
    clientKind: botReason === 'ua_bot' ? 'bot' : botReason === 'ua_library' ? 'library' : 'browser',
    botReason,
  }
}

/** Why a header is not a person's browser. isbot takes an empty one for a person, so that is decided here. */
function judge(header: string): BotReason | '' {
  if (header.trim() === '') return 'ua_missing'
  if (LIBRARY.test(header)) return 'ua_library'
  return isbot(header) ? 'ua_bot' : ''
}

function typeOf(type: string | undefined, os: string): Agent['deviceType'] {
  if (type !== undefined) return DEVICE_TYPES[type] ?? 'unknown'
  return DESKTOP_SYSTEMS.has(os) ? 'desktop' : 'unknown'
}

/**
 * Major and minor version. Browsers froze some: macOS 10.15.7, Windows NT 10.0 and "Android 10; K" say nothing
 * (https://www.chromium.org/updates/ua-reduction/), so they are ''.
 */
function systemVersion(os: string, version: string, header: string): string {
  if (os === 'macOS' && version.startsWith('10.15')) return ''
  if (os === 'Windows' && version === '10') return ''
  if (os === 'Android' && header.includes('Android 10; K)')) return ''
  return version.split('.').slice(0, 2).join('.')
}
