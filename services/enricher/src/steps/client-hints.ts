/**
 * Client Hints (https://wicg.github.io/ua-client-hints/) read by hand: ua-parser-js 1 knows none. The low entropy ones come
 * with every request of a Chromium over HTTPS, the others when the page's server asked for them by Accept-CH.
 */

import { detach } from './text.ts'

/** Request headers as a line carries them; nothing in it is trusted to be a text. */
export interface KeptHeaders {
  readonly [name: string]: unknown
}

/** What the hints of a request tell. '' = not told. */
export interface ClientHints {
  /** Our name of the most telling brand: `Brave`, not `Chromium`. '' = none that we know. */
  readonly browser: string
  /** Major version of that brand. */
  readonly browserVersion: string
  /** Major version of the brand Chromium. */
  readonly chromium: string
  /** One of the brands is HeadlessChrome. */
  readonly headless: boolean
  /** As sent: `Windows`, `macOS`, `Android`, `Linux`, `Chrome OS`, … */
  readonly platform: string
  /** As sent: `13.0.0` is Windows 11. */
  readonly platformVersion: string
  readonly model: string
  /** null = not told. */
  readonly mobile: boolean | null
  /** In lower case: `desktop`, `mobile`, `tablet`, `watch`, … */
  readonly formFactors: readonly string[]
}

/** Headers beyond this are cut before they are looked at: no browser sends longer ones. */
const MAX_HINT = 512

/**
 * Brands that we know, with the name that the User-Agent header gives the same browser, so that both sources make one row.
 * `Chromium` alone is no name: a browser that sends nothing else is what its User-Agent says.
 * Sources: the projects' own code or documentation, and headers as observed.
 */
const BRANDS: Readonly<Record<string, string>> = {
  'google chrome': 'Chrome',
  'microsoft edge': 'Edge',
  'microsoft edge webview2': 'Edge',
  brave: 'Brave',
  opera: 'Opera',
  'opera gx': 'Opera GX',
  operamobile: 'Opera Mobi',
  'opera mini android': 'Opera Mini',
  vivaldi: 'Vivaldi',
  'samsung internet': 'Samsung Internet',
  duckduckgo: 'DuckDuckGo',
  yabrowser: 'Yandex',
  yandex: 'Yandex',
  arc: 'Arc',
  whale: 'Whale',
  'naver whale': 'Whale',
  'huawei browser': 'Huawei Browser',
  huaweibrowser: 'Huawei Browser',
  'miui browser': 'MIUI Browser',
  miuibrowser: 'MIUI Browser',
  'avast secure browser': 'Avast Secure Browser',
  'avg secure browser': 'AVG Secure Browser',
  'norton private browser': 'Norton Private Browser',
  'ccleaner browser': 'CCleaner Browser',
  'android webview': 'Chrome WebView',
  'oculus browser': 'Oculus Browser',
  'meta quest browser': 'Oculus Browser',
  silk: 'Silk',
  'amazon silk': 'Silk',
  coccoc: 'Coc Coc',
  'coc coc': 'Coc Coc',
  ecosia: 'Ecosia',
  headlesschrome: 'Chrome Headless',
}
/** Browsers that name Google Chrome beside themselves: it says the least of the brands. */
const LEAST_TELLING = new Set(['Chrome', 'Edge'])

const NO_FORM_FACTORS: readonly string[] = []

/** The hints of a request; null when it carries none. Never throws. */
export function readClientHints(headers: KeptHeaders): ClientHints | null {
  const short = hint(headers, 'sec-ch-ua')
  const full = hint(headers, 'sec-ch-ua-full-version-list')
  const platform = readString(hint(headers, 'sec-ch-ua-platform'))
  const mobile = hint(headers, 'sec-ch-ua-mobile')
  if (short === '' && full === '' && platform === '' && mobile === '') return null
  const brands = readBrands(short === '' ? full : short)
  return {
    ...tellingBrand(brands),
    chromium: brands.get('chromium') ?? '',
    headless: brands.has('headlesschrome'),
    platform,
    platformVersion: readString(hint(headers, 'sec-ch-ua-platform-version')),
    model: readString(hint(headers, 'sec-ch-ua-model')).slice(0, 64),
    mobile: mobile === '?1' ? true : mobile === '?0' ? false : null,
    formFactors: readStrings(hint(headers, 'sec-ch-ua-form-factors')),
  }
}

/** What the hints add to a key that an agent is kept under: '' without hints. */
export function hintsKey(headers: KeptHeaders): string {
  const brands = headers['sec-ch-ua'] ?? headers['sec-ch-ua-full-version-list']
  if (brands === undefined && headers['sec-ch-ua-platform'] === undefined && headers['sec-ch-ua-mobile'] === undefined)
    return ''
  return [
    '',
    brands === undefined ? '' : hint(headers, brands === headers['sec-ch-ua'] ? 'sec-ch-ua' : FULL_LIST),
    hint(headers, 'sec-ch-ua-platform'),
    hint(headers, 'sec-ch-ua-mobile'),
    hint(headers, 'sec-ch-ua-platform-version'),
    hint(headers, 'sec-ch-ua-model'),
    hint(headers, 'sec-ch-ua-form-factors'),
  ].join('\0')
}
const FULL_LIST = 'sec-ch-ua-full-version-list'

function hint(headers: KeptHeaders, name: string): string {
  const value = headers[name]
  if (typeof value !== 'string') return ''
  if (value.length > MAX_HINT) return detach(value.slice(0, MAX_HINT))
  return value.isWellFormed() ? value : value.toWellFormed()
}

/** Major versions by brand in lower case, of a list such as `"Brave";v="141", "Chromium";v="141.0.7390.55"`. */
function readBrands(list: string): Map<string, string> {
  const brands = new Map<string, string>()
  for (const [, brand, version] of list.matchAll(/"([^"]*)"\s*;\s*v="(\d{0,6})[^"]*"/g)) {
    brands.set(brand!.trim().toLowerCase(), version!)
  }
  return brands
}

function tellingBrand(brands: ReadonlyMap<string, string>): { browser: string; browserVersion: string } {
  let found = { browser: '', browserVersion: '' }
  for (const [brand, browserVersion] of brands) {
    const browser = Object.hasOwn(BRANDS, brand) ? BRANDS[brand]! : ''
    if (browser === '' || (found.browser !== '' && LEAST_TELLING.has(browser))) continue
    found = { browser, browserVersion }
  }
  return found
}

/** A structured string; the bare word that a few clients send instead is taken too. */
function readString(value: string): string {
  const text = value.trim()
  const inner = text.length > 1 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text
  return inner.replaceAll('\\', '').replaceAll('"', '').trim()
}

function readStrings(value: string): readonly string[] {
  if (value === '') return NO_FORM_FACTORS
  return value
    .split(',')
    .map((item) => readString(item).toLowerCase())
    .filter((item) => item !== '')
}
