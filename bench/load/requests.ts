import { BROWSERS, LANGUAGES, type Random, seeded } from '@millrace/standalone/demo'
import { hitIdTemplate, writeHitId } from './hit-ids.ts'

/** A hit as bytes, and where its varying parts stand (-1 = not in it). */
interface Fragment {
  readonly bytes: Buffer
  readonly type: 'page_view' | 'event' | 'engagement'
  readonly hitIdAt: number
  readonly createdAt: number
  readonly pageIdAt: number
  /** Five digits of a path. */
  readonly numberAt: number
}

export interface RequestMix {
  readonly seed: number
  /** `host:port` of the server. */
  readonly host: string
  /** Distinct visitors (site, address and agent). */
  readonly visitors: number
  readonly sites: readonly string[]
  /** Share of hits that were made long before they are sent: most within 14 min, some up to an hour (0 to 1). */
  readonly delayed: number
}

/** Bytes that a request of `hits` hits never exceeds. */
export const maxRequestBytes = (hits: number): number => 2_048 + hits * 900

const DIGITS = { number: 'NNNNN', created: 'CCCCCCCCCCCCC' }
const SENT_AT = 'T'.repeat(13)
const ADDRESS = '100.100.100.100'
const OPENING = Buffer.from(`{"sent_at":${SENT_AT},"hits":[`)
const SENT_AT_AT = OPENING.indexOf(SENT_AT)
const CLOSING = Buffer.from(']}')
const MINUTE = 60_000

/**
 * Builds requests of many visitors by copying prepared bytes and patching what varies (address, clock, ids, paths): about
 * a microsecond a request, so that the generator does not measure itself.
 */
export class RequestMaker {
  readonly #random: Random
  readonly #mix: RequestMix
  readonly #heads: Buffer[]
  readonly #pages: Fragment[][]
  readonly #events: Fragment[][]
  readonly #engagements: Fragment[][]
  /** By visitor: 1 + number of its last page view, 0 = none. */
  readonly #lastPage: Uint32Array

  constructor(mix: RequestMix) {
    this.#mix = mix
    this.#random = seeded(mix.seed)
    this.#heads = BROWSERS.map(({ userAgent }) => headOf(userAgent, this.#random.weighted(LANGUAGES), mix.host))
    this.#pages = mix.sites.map((site) => pageFragments(this.#random, mix.seed, site))
    this.#events = mix.sites.map((site) => eventFragments(mix.seed, site))
    this.#engagements = mix.sites.map((site) => engagementFragments(mix.seed, site))
    this.#lastPage = new Uint32Array(mix.visitors)
  }

  /** Writes a request with the hits `first` to `first + count - 1` of one visitor; the number of bytes written. */
  write(target: Buffer, first: number, count: number, nowMs: number): number {
    const visitor = this.#random.below(this.#mix.visitors)
    const head = this.#heads[visitor % this.#heads.length]!
    let at = head.copy(target, 0)
    writeAddress(target, at - HEAD_ADDRESS_FROM_END, visitor)
    const bodyAt = at
    at += OPENING.copy(target, at)
    writeDigits(target, bodyAt + SENT_AT_AT, nowMs, 13)
    for (let i = 0; i < count; i++) {
      if (i > 0) target[at++] = 0x2c
      at = this.#writeHit(target, at, visitor, first + i, nowMs - (count - 1 - i))
    }
    at += CLOSING.copy(target, at)
    writeDigits(target, bodyAt - HEAD_LENGTH_FROM_END, at - bodyAt, 6)
    return at
  }

  #writeHit(target: Buffer, at: number, visitor: number, n: number, nowMs: number): number {
    const random = this.#random
    const site = visitor % this.#mix.sites.length
    const dice = random.next()
    const lastPage = this.#lastPage[visitor]!
    const kind = dice < 0.12 ? this.#events : dice < 0.32 && lastPage > 0 ? this.#engagements : this.#pages
    const fragment = random.pick(kind[site]!)
    fragment.bytes.copy(target, at)
    writeHitId(target, at + fragment.hitIdAt, n)
    writeDigits(target, at + fragment.createdAt, nowMs - this.#delay(), 13)
    if (fragment.numberAt >= 0) writeDigits(target, at + fragment.numberAt, Math.floor(random.next() ** 3 * 2_000), 5)
    if (fragment.pageIdAt >= 0) writeHitId(target, at + fragment.pageIdAt, lastPage - 1)
    if (fragment.type === 'page_view') this.#lastPage[visitor] = n + 1
    return at + fragment.bytes.length
  }

  #delay(): number {
    const random = this.#random
    if (random.next() >= this.#mix.delayed) return 0
    return random.next() < 0.7 ? random.below(14 * MINUTE) : random.below(60 * MINUTE)
  }
}

const HEAD_END = `X-Forwarded-For: ${ADDRESS}\r\nContent-Length: 000000\r\n\r\n`
const HEAD_ADDRESS_FROM_END = HEAD_END.length - HEAD_END.indexOf(ADDRESS)
const HEAD_LENGTH_FROM_END = HEAD_END.length - HEAD_END.indexOf('000000')

function headOf(userAgent: string, language: string, host: string): Buffer {
  const chromium = /Chrome\/(\d+)/.exec(userAgent)?.[1]
  const hints = chromium
    ? [
        `sec-ch-ua: "Chromium";v="${chromium}", "Google Chrome";v="${chromium}", "Not?A_Brand";v="24"`,
        `sec-ch-ua-mobile: ?${userAgent.includes('Mobile') ? 1 : 0}`,
        `sec-ch-ua-platform: "${userAgent.includes('Android') ? 'Android' : 'Windows'}"`,
      ]
    : []
  const lines = [
    'POST /v1/hits HTTP/1.1',
    `Host: ${host}`,
    'Connection: keep-alive',
    'Accept: */*',
    'Accept-Encoding: gzip, deflate, br, zstd',
    `Accept-Language: ${language}`,
    'Content-Type: application/json',
    'Origin: https://www.shop.example',
    'Referer: https://www.shop.example/',
    ...hints,
    'Sec-Fetch-Dest: empty',
    'Sec-Fetch-Mode: cors',
    'Sec-Fetch-Site: cross-site',
    `User-Agent: ${userAgent}`,
  ]
  return Buffer.from(`${lines.join('\r\n')}\r\n${HEAD_END}`, 'latin1')
}

/** The decimal digits of `value`, with leading zeros. */
function writeDigits(target: Buffer, at: number, value: number, digits: number): void {
  let rest = value
  for (let i = digits - 1; i >= 0; i--) {
    const next = Math.floor(rest / 10)
    target[at + i] = 48 + (rest - next * 10)
    rest = next
  }
}

/** An address of fifteen characters, another one for each of 156^4 visitors. */
function writeAddress(target: Buffer, at: number, visitor: number): void {
  let rest = visitor
  for (let part = 3; part >= 0; part--) {
    writeDigits(target, at + 4 * part, 100 + (rest % 156), 3)
    rest = Math.floor(rest / 156)
  }
}

function fragment(type: Fragment['type'], seed: number, fields: Record<string, unknown>): Fragment {
  const id = hitIdTemplate(seed)
  const hit = { type, hit_id: id, created_at: DIGITS.created, ...fields }
  const bytes = Buffer.from(JSON.stringify(hit).replace(`"${DIGITS.created}"`, DIGITS.created))
  const hitIdAt = bytes.indexOf(id)
  return {
    bytes,
    type,
    hitIdAt,
    createdAt: bytes.indexOf(DIGITS.created),
    pageIdAt: bytes.indexOf(id, hitIdAt + 1),
    numberAt: bytes.indexOf(DIGITS.number),
  }
}

const DEVICE = {
  language: 'en-US',
  screen_width: 1920,
  screen_height: 1080,
  viewport_width: 1587,
  pixel_ratio: 1.25,
  sender: 'script/1.0.0',
}
const SECTIONS = ['catalogue', 'offers', 'guides', 'account']

/** Page views: most come from a page of the site, some from outside, some from a campaign. */
function pageFragments(random: Random, seed: number, site: string): Fragment[] {
  const host = `https://www.${site}.example`
  const arrivals = [
    { referrer: 'https://www.google.com/' },
    { referrer: 'https://news.example.org/item?id=4187' },
    { query: '?utm_source=newsletter&utm_medium=email&utm_campaign=november' },
    { query: '?utm_source=google&utm_medium=cpc&utm_campaign=brand&utm_term=boots' },
  ]
  const inside = Array.from({ length: 60 }, (_, i) => ({
    referrer: i % 3 === 0 ? undefined : `${host}/${random.pick(SECTIONS)}/overview`,
  }))
  return [...inside, ...arrivals].map(
    ({ referrer, query = '' }: { referrer?: string | undefined; query?: string }, i) => {
      const section = SECTIONS[i % SECTIONS.length]!
      return fragment('page_view', seed, {
        site,
        url: `${host}/${section}/${DIGITS.number}${i % 2 ? '/details' : ''}${query}`,
        ...(referrer !== undefined && { referrer }),
        title: `Page ${i} of ${section}: everything that there is to know, and a little more`,
        ...DEVICE,
        tags: { section, author: `author-${i % 7}` },
      })
    },
  )
}

function eventFragments(seed: number, site: string): Fragment[] {
  return ['add_to_cart', 'search', 'video_seen', 'purchase'].map((name) =>
    fragment('event', seed, {
      site,
      url: `https://www.${site}.example/catalogue/${DIGITS.number}`,
      name,
      ...(name === 'purchase' && { value: 49.9, currency: 'EUR' }),
      ...(name === 'video_seen' && { interactive: false, duration_ms: 31_000 }),
      props: { plan: 'solo', position: 3, variant: 'b', is_member: true },
      title: 'Catalogue: everything that there is to know, and a little more',
      ...DEVICE,
    }),
  )
}

function engagementFragments(seed: number, site: string): Fragment[] {
  return [900, 4_100, 8_700, 15_000, 61_000].map((engagedMs, i) =>
    fragment('engagement', seed, {
      site,
      page_id: hitIdTemplate(seed),
      url: `https://www.${site}.example/catalogue/${DIGITS.number}`,
      engaged_ms: engagedMs,
      scroll_percent: 20 * (i + 1),
      ...DEVICE,
    }),
  )
}
