/** A browser as its user agent names it, with how common it is and the screens that it is seen with. */
export interface Browser {
  readonly userAgent: string
  readonly weight: number
  readonly screens: readonly (readonly [width: number, height: number, pixelRatio: number])[]
}

const DESKTOP = [
  [1920, 1080, 1],
  [1536, 864, 1.25],
  [1366, 768, 1],
  [2560, 1440, 1],
  [1440, 900, 2],
] as const
const PHONE = [
  [390, 844, 3],
  [393, 873, 2.75],
  [360, 800, 3],
  [412, 915, 2.625],
] as const
const TABLET = [
  [820, 1180, 2],
  [768, 1024, 2],
] as const

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i)
const CHROMIUM = range(118, 142)
const WEBKIT = 'AppleWebKit/537.36 (KHTML, like Gecko)'

const family = (weight: number, screens: Browser['screens'], userAgents: readonly string[]): Browser[] =>
  userAgents.map((userAgent) => ({ userAgent, screens, weight: weight / userAgents.length }))

const chrome = (system: string, mobile = ''): string[] =>
  CHROMIUM.map((v) => `Mozilla/5.0 (${system}) ${WEBKIT} Chrome/${v}.0.0.0 ${mobile}Safari/537.36`)
const firefox = (system: string): string[] =>
  range(115, 144).map((v) => `Mozilla/5.0 (${system}; rv:${v}.0) Gecko/20100101 Firefox/${v}.0`)
const safari = (system: (version: string) => string, mobile = ''): string[] =>
  ['16.4', '16.6', '17.0', '17.2', '17.4', '17.5', '17.6', '18.0', '18.1', '18.2', '18.3', '18.4', '18.5', '18.6'].map(
    (v) =>
      `Mozilla/5.0 (${system(v.replace('.', '_'))}) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/${v} ${mobile}Safari/605.1.15`,
  )

/** Some hundred real browsers in the proportions of a public site. */
export const BROWSERS: readonly Browser[] = [
  ...family(24, DESKTOP, chrome('Windows NT 10.0; Win64; x64')),
  ...family(7, DESKTOP, chrome('Macintosh; Intel Mac OS X 10_15_7')),
  ...family(2, DESKTOP, chrome('X11; Linux x86_64')),
  ...family(22, PHONE, chrome('Linux; Android 10; K', 'Mobile ')),
  ...family(3, TABLET, chrome('Linux; Android 10; K')),
  ...family(
    7,
    DESKTOP,
    CHROMIUM.map(
      (v) => `Mozilla/5.0 (Windows NT 10.0; Win64; x64) ${WEBKIT} Chrome/${v}.0.0.0 Safari/537.36 Edg/${v}.0.0.0`,
    ),
  ),
  ...family(
    2,
    PHONE,
    range(23, 28).map(
      (v) =>
        `Mozilla/5.0 (Linux; Android 10; K) ${WEBKIT} SamsungBrowser/${v}.0 Chrome/${v + 94}.0.0.0 Mobile Safari/537.36`,
    ),
  ),
  ...family(4, DESKTOP, firefox('Windows NT 10.0; Win64; x64')),
  ...family(1, DESKTOP, firefox('Macintosh; Intel Mac OS X 10.15')),
  ...family(1, DESKTOP, firefox('X11; Linux x86_64')),
  ...family(
    6,
    DESKTOP,
    safari(() => 'Macintosh; Intel Mac OS X 10_15_7'),
  ),
  ...family(
    19,
    PHONE,
    safari((v) => `iPhone; CPU iPhone OS ${v} like Mac OS X`, 'Mobile/15E148 '),
  ),
  ...family(
    2,
    TABLET,
    safari((v) => `iPad; CPU OS ${v} like Mac OS X`, 'Mobile/15E148 '),
  ),
]

/** Accept-Language headers, with how common each is. */
export const LANGUAGES: readonly (readonly [weight: number, header: string])[] = [
  [45, 'en-US,en;q=0.9'],
  [12, 'en-GB,en;q=0.8'],
  [12, 'de-DE,de;q=0.9,en;q=0.6'],
  [4, 'de-AT,de;q=0.9,en;q=0.7'],
  [8, 'fr-FR,fr;q=0.9,en;q=0.5'],
  [7, 'es-ES,es;q=0.9'],
  [4, 'pt-BR,pt;q=0.9,en-US;q=0.7'],
  [4, 'ja-JP,ja;q=0.9'],
  [4, 'nl-NL,nl;q=0.8,en;q=0.6'],
]
