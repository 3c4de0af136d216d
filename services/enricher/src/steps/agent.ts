import { isbot } from 'isbot'
import { LRUCache } from 'lru-cache'
import { UAParser } from 'ua-parser-js'
import { type NamedProgram, programOf } from './bot-names.ts'
import { type AgentRule, agentRulesOf } from './bots.ts'
import { type ClientHints, hintsKey, type KeptHeaders, readClientHints } from './client-hints.ts'
import { OnePerValue } from './one-per-value.ts'
import { detach } from './text.ts'

/** What the User-Agent header and the Client Hints tell of a client. '' = not told, or a value that browsers have frozen. */
export interface Agent {
  /** Name of the browser, of the app whose built-in browser it is, or of the library or bot that names itself. */
  readonly browser: string
  /** Major version: the only part that both sources have. */
  readonly browserVersion: string
  readonly os: string
  /** `major` or `major.minor`; a minor version of 0 is left out. */
  readonly osVersion: string
  /** Vendor and model. */
  readonly device: string
  readonly deviceType: 'desktop' | 'phone' | 'tablet' | 'tv' | 'console' | 'wearable' | 'bot' | 'unknown'
  readonly platform: 'desktop' | 'mobile' | 'unknown'
  /** By what it says of itself, whatever a site makes of it: a bot whose rule is switched off is still a bot's client. */
  readonly clientKind: 'browser' | 'library' | 'bot'
}

/** None: what a dead hit has. */
export const NO_AGENT: Agent = {
  browser: '',
  browserVersion: '',
  os: '',
  osVersion: '',
  device: '',
  deviceType: 'unknown',
  platform: 'unknown',
  clientKind: 'browser',
}

/** A client that was seen, with everything that its headers alone decide. */
export interface SeenAgent {
  readonly agent: Agent
  /** Bot rules that its headers break, in the order of the table; most often none. */
  readonly rules: readonly AgentRule[]
}

/** Where the headers of a request stand. */
export interface RequestHeaders {
  readonly userAgent: string
  readonly headers: KeptHeaders
}

/** Headers beyond this are cut before they are looked at: no browser sends longer ones. */
const MAX_HEADER = 1_024
/** Parsing costs 20-100 µs; the distinct headers of a busy hour fit. A key is about 300 bytes, so it stays below 30 MB. */
const CACHED_HEADERS = 30_000

/** Reads the headers of clients, each distinct combination once as long as it stays among the last 30,000. */
export class AgentReader {
  readonly #known: LRUCache<string, SeenAgent>
  readonly #distinct = new OnePerValue<Agent>()

  constructor(capacity = CACHED_HEADERS) {
    this.#known = new LRUCache({ max: capacity })
  }

  /** Pure: the same headers always give an equal answer, and the same object while they are remembered. */
  read({ userAgent, headers }: RequestHeaders): SeenAgent {
    const header = userAgent.length > MAX_HEADER ? detach(userAgent.slice(0, MAX_HEADER)) : userAgent
    const key = header + hintsKey(headers)
    let seen = this.#known.get(key)
    if (seen === undefined) {
      const { agent, rules } = readAgent(header, headers)
      seen = { agent: this.#distinct.of(agent), rules }
      this.#known.set(key, seen)
    }
    return seen
  }

  /** Distinct combinations held. */
  get size(): number {
    return this.#known.size
  }
}

/** Reads the headers of one client. Pure; never throws; 20-100 µs. */
export function readAgent(userAgent: string, headers: KeptHeaders = {}): SeenAgent {
  const header = userAgent.toWellFormed()
  const hints = readClientHints(headers)
  const program = programOf(header)
  const generic = program === null && header.trim() !== '' && isbot(header)
  const kind = kindOf(program, generic)
  const agent =
    kind === 'browser' || program?.reason === 'headless' ? browserOf(header, hints) : programAgent(header, program)
  const told = kind === 'browser' ? agent : { ...agent, clientKind: kind, ...(kind === 'bot' ? A_BOT : {}) }
  return { agent: told, rules: agentRulesOf({ userAgent: header, hints, program, generic }) }
}

const A_BOT = { deviceType: 'bot', platform: 'unknown' } as const

function kindOf(program: NamedProgram | null, generic: boolean): Agent['clientKind'] {
  if (program === null) return generic ? 'bot' : 'browser'
  return program.reason === 'ua_library' ? 'library' : 'bot'
}

/** Libraries and bots have a name; the browser and the device that some of them play are nobody's. */
function programAgent(header: string, program: NamedProgram | null): Agent {
  return {
    browser: program?.token ?? '',
    browserVersion: program === null ? '' : versionAfter(header, program.token),
    os: '',
    osVersion: '',
    device: '',
    deviceType: 'unknown',
    platform: 'unknown',
    clientKind: 'browser',
  }
}

function versionAfter(header: string, token: string): string {
  const rest = header.slice(header.toLowerCase().indexOf(token.toLowerCase()) + token.length)
  return /^[/ ]v?(\d{1,6})/.exec(rest)?.[1] ?? ''
}

/** Apps and browsers that ua-parser-js 1.0 does not tell, by a token of theirs; the version follows it. */
const OTHER_BROWSERS: readonly (readonly [token: RegExp, name: string])[] = [
  [/\bBarcelona[ /](\d+)/, 'Threads'],
  [/\b(?:FB_IAB\/(?:Orca-Android|MESSENGER)|FBAN\/Messenger).*?FBAV\/(\d+)/, 'Messenger'],
  [/\bLinkedInApp\/(\d+)/, 'LinkedIn'],
  [/\bMetaIAB Facebook(?:\/(\d+))?/, 'Facebook'],
  [/\[?Pinterest\/(?:iOS|Android)(?:[ /](\d+))?/, 'Pinterest'],
  [/\bReddit\/(?:Version )?(\d+)/, 'Reddit'],
  [/\(Ecosia (?:android|ios)@(\d+)/, 'Ecosia'],
  [/\bArc(?:Mobile2?|Search)?\/(\d+)/, 'Arc'],
  [/\bNintendoBrowser\/(\d+)/, 'Nintendo Browser'],
  [/\bArkWeb\/.*\bHuaweiBrowser\/(\d+)/, 'Huawei Browser'],
  [/\bVersion\/(\d+).* Brave(?:\/|$)/, 'Brave'],
  [/\bBrave Chrome\/(\d+)/, 'Brave'],
]

/** Names that ua-parser-js gives, where people say another one. */
const BROWSERS: Readonly<Record<string, string>> = {
  'Mobile Safari': 'Safari',
  'Mobile Chrome': 'Chrome',
  'Mobile Firefox': 'Firefox',
  'Chrome Headless': 'Headless Chrome',
  'Opera Mobi': 'Opera',
  GSA: 'Google App',
  UCBrowser: 'UC Browser',
  KAKAOTALK: 'KakaoTalk',
  Yandex: 'Yandex Browser',
  WebKit: 'WebView',
  IEMobile: 'IE',
}
/** Names that a brand of the hints tells more of. */
const PLAIN = new Set(['Chrome', 'Chrome WebView', 'Chromium', ''])

const SYSTEMS: Readonly<Record<string, string>> = {
  'Mac OS': 'macOS',
  macOS: 'macOS',
  'Chromium OS': 'ChromeOS',
  'Chrome OS': 'ChromeOS',
  // Only some browsers name the distribution: it would split one system by browser.
  ...Object.fromEntries(
    [
      'Ubuntu',
      'Fedora',
      'Debian',
      'Mint',
      'SUSE',
      'Arch',
      'Gentoo',
      'CentOS',
      'RedHat',
      'GNU',
      'Linspire',
      'Manjaro',
    ].map((name) => [name, 'Linux']),
  ),
}
const DESKTOP_SYSTEMS = new Set(['Windows', 'macOS', 'ChromeOS', 'Linux', 'FreeBSD', 'OpenBSD', 'NetBSD', 'Solaris'])

const DEVICE_TYPES: Readonly<Record<string, Agent['deviceType']>> = {
  mobile: 'phone',
  tablet: 'tablet',
  smarttv: 'tv',
  console: 'console',
  wearable: 'wearable',
}
/** Televisions and boxes that ua-parser-js 1.0 takes for tablets. */
const TELEVISION = /\b(?:Chromecast|Google TV|Android ?TV|MiTV|MIBOX)/
/** https://wicg.github.io/ua-client-hints/#sec-ch-ua-form-factors; a client may name several, the first of these counts. */
const FORM_FACTORS: readonly (readonly [string, Agent['deviceType']])[] = [
  ['watch', 'wearable'],
  ['xr', 'wearable'],
  ['automotive', 'unknown'],
  ['tablet', 'tablet'],
  ['mobile', 'phone'],
  ['desktop', 'desktop'],
]

function browserOf(header: string, hints: ClientHints | null): Agent {
  const text = unreduced(header, hints)
  const { browser, os, device } = new UAParser(text).getResult()
  const osName = systemName(os.name ?? '', text, hints)
  const deviceType = typeOf(
    device.model === 'K' && / Mobile\b/.test(text) ? 'mobile' : device.type,
    osName,
    text,
    hints,
  )
  const [name, version] = browserName(text, browser.name ?? '', browser.version ?? '', hints)
  return {
    browser: name,
    browserVersion: version,
    os: osName,
    osVersion: hintedVersion(osName, hints) || systemVersion(osName, os.version ?? '', text),
    device: deviceName(device.vendor, device.model, text),
    deviceType,
    platform: platformOf(deviceType),
    clientKind: 'browser',
  }
}

/**
 * Chrome froze the model and the version of Android to "Android 10; K" (https://www.chromium.org/updates/ua-reduction/).
 * What the hints tell is put back, so that one device is one row whichever source named it.
 */
function unreduced(header: string, hints: ClientHints | null): string {
  if (hints === null || hints.model === '' || hints.platform !== 'Android') return header
  return header.replace(
    'Android 10; K)',
    () => `Android ${hints.platformVersion || '10'}; ${hints.model.replaceAll(';', ' ')})`,
  )
}

function browserName(text: string, name: string, version: string, hints: ClientHints | null): [string, string] {
  const [told, toldVersion] = namedByHeader(text, name, version)
  if (hints === null || hints.browser === '') return [told, toldVersion]
  const hinted = BROWSERS[hints.browser] ?? hints.browser
  const keeps = !PLAIN.has(told) && (PLAIN.has(hinted) || hinted === 'Edge')
  if (keeps || (told === 'Chrome WebView' && hinted === 'Chrome')) return [told, toldVersion]
  return [hinted, hints.browserVersion]
}

function namedByHeader(text: string, name: string, version: string): [string, string] {
  for (const [token, other] of OTHER_BROWSERS) {
    const match = token.exec(text)
    if (match !== null) return [other, match[1] ?? '']
  }
  const told = Object.hasOwn(BROWSERS, name) ? BROWSERS[name]! : name
  if (told === 'Brave') return [told, /\bChrome\/(\d+)/.exec(text)?.[1] ?? ''] // `Brave/1` stands still
  if (told === 'WebView') return [told, '']
  // Its own number stands still at 5 on Android and 7 on iOS; the engine's is what its brand in the hints says too.
  if (told === 'DuckDuckGo') return [told, /\b(?:Version\/(?!4\.0)|Chrome\/)(\d+)/.exec(text)?.[1] ?? '']
  if (told === 'Safari' && text.includes('Tizen')) return ['Samsung Internet', '']
  return [told, /^\d{1,4}(?!\d)/.exec(version)?.[0] ?? ''] // more digits are a build, as in `trill_420009`
}

function systemName(name: string, text: string, hints: ClientHints | null): string {
  if (text.includes('Apple Watch')) return 'watchOS'
  if (name === '' && hints !== null && hints.platform !== 'Unknown') return SYSTEMS[hints.platform] ?? hints.platform
  return Object.hasOwn(SYSTEMS, name) ? SYSTEMS[name]! : name
}

function deviceName(vendor: string | undefined, model: string | undefined, text: string): string {
  if (model === undefined || model === 'K') return vendor ?? ''
  const maker = vendor === 'Facebook' ? 'Meta' : (vendor ?? (model.startsWith('Pixel ') ? 'Google' : ''))
  // ua-parser-js cuts the prefix of Fire TVs off.
  const name = maker === 'Amazon' && text.includes(`AFT${model}`) ? `AFT${model}` : model
  return (maker === '' ? name : `${maker} ${name}`).slice(0, 64)
}

function typeOf(type: string | undefined, os: string, text: string, hints: ClientHints | null): Agent['deviceType'] {
  const factor = hints === null ? undefined : FORM_FACTORS.find(([name]) => hints.formFactors.includes(name))?.[1]
  const told = TELEVISION.test(text) ? 'tv' : type === undefined ? undefined : (DEVICE_TYPES[type] ?? 'unknown')
  // The hints know of phones, tablets and desktops; a television or a console is named by its model alone.
  if (told === 'tv' || told === 'console' || told === 'wearable') return told
  if (factor !== undefined) return factor
  if (text.includes('Apple Watch')) return 'wearable'
  if (told !== undefined) return told
  if (hints?.mobile === true || text.includes('Opera Mini')) return 'phone'
  return DESKTOP_SYSTEMS.has(os) ? 'desktop' : 'unknown'
}

function platformOf(type: Agent['deviceType']): Agent['platform'] {
  if (type === 'desktop') return 'desktop'
  return type === 'phone' || type === 'tablet' || type === 'wearable' ? 'mobile' : 'unknown'
}

/** The version that the hints tell of this system; '' = none. */
function hintedVersion(os: string, hints: ClientHints | null): string {
  if (hints === null || hints.platformVersion === '') return ''
  if ((SYSTEMS[hints.platform] ?? hints.platform) !== os) return ''
  return os === 'Windows' ? windowsOf(hints.platformVersion) : shortVersion(hints.platformVersion)
}

/** https://learn.microsoft.com/en-us/microsoft-edge/web-platform/how-to-detect-win11 */
function windowsOf(version: string): string {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  if (major >= 13) return '11'
  if (major > 0) return '10'
  return { 1: '7', 2: '8', 3: '8.1' }[minor] ?? ''
}

/** Major and minor version, without a minor version of 0: `14`, `8.1`, `26.2`. '' for what is no number. */
function shortVersion(version: string): string {
  const [, major, minor] = /^(\d{1,5})(?:[._](\d{1,5}))?/.exec(version) ?? []
  if (major === undefined) return ''
  return minor === undefined || Number(minor) === 0 ? major : `${major}.${minor}`
}

/** The version of the header, '' where browsers have frozen it (sources in the functions). */
function systemVersion(os: string, version: string, text: string): string {
  if (os === 'Windows') return version === '10' || version.startsWith('NT ') ? '' : version // NT 10.0 is 10 and 11
  if (os === 'macOS') return version === '10.15.7' || version === '10.15' ? '' : shortVersion(version)
  if (os === 'Android') return /Android 10(?:; K)?\)/.test(text) ? '' : shortVersion(version)
  if (os === 'ChromeOS') return version === '14541.0.0' ? '' : shortVersion(version)
  if (os === 'HarmonyOS') return /(?:Harmony(?:OS)?)[ /]\d/.test(text) ? shortVersion(version) : '' // that of Android else
  if (os === 'iOS') return iosVersion(version, text)
  return os === 'Linux' ? '' : shortVersion(version)
}

/**
 * From iOS 26 on WebKit says 18_6 or 18_7 (https://webkit.org/blog/17333/webkit-features-in-safari-26-0/, "Update to UA
 * string"). `Version/` goes with the system and tells it; apps name it themselves; browsers that write the header
 * themselves (Chrome, the Google app) say the truth. Else nothing is known.
 */
function iosVersion(version: string, text: string): string {
  const own = /(?:FBSV\/|; iOS )(\d+[._]?\d*)/.exec(text)?.[1]
  if (own !== undefined) return shortVersion(own)
  if (version !== '18.6' && version !== '18.7') return shortVersion(version)
  const engine = /\bVersion\/(\d+(?:\.\d+)?)/.exec(text)?.[1]
  if (engine === undefined) return /CriOS|GSA\//.test(text) ? version : ''
  return Number.parseInt(engine, 10) >= 26 ? shortVersion(engine) : version
}
