import { BROWSERS, LANGUAGES } from './browsers.ts'
import { type Random, randomUuid, seeded } from './random.ts'

/** A request to POST /v1/hits, due at `atMs` (epoch milliseconds). */
export interface VisitorRequest {
  readonly atMs: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface VisitorStreamOptions {
  readonly seed: number
  /** When the first visitor comes, epoch milliseconds. */
  readonly startMs: number
  /** Mean number of new visits in a minute. */
  readonly visitsPerMinute: number
  readonly site?: string
}

interface Page {
  readonly path: string
  readonly title: string
  readonly section: string
}

const HOST = 'https://www.example.com'
const PAGES: readonly (readonly [weight: number, page: Page])[] = [
  [30, { path: '/', title: 'Example: tools for rivers', section: 'home' }],
  [14, { path: '/pricing', title: 'Pricing', section: 'sales' }],
  [10, { path: '/docs', title: 'Documentation', section: 'docs' }],
  [7, { path: '/docs/install', title: 'Install', section: 'docs' }],
  [6, { path: '/docs/first-steps', title: 'First steps', section: 'docs' }],
  [9, { path: '/blog', title: 'Blog', section: 'blog' }],
  [8, { path: '/blog/how-we-measure-a-river', title: 'How we measure a river', section: 'blog' }],
  [5, { path: '/blog/a-year-of-data', title: 'A year of data', section: 'blog' }],
  [4, { path: '/about', title: 'About us', section: 'home' }],
  [3, { path: '/contact', title: 'Contact', section: 'sales' }],
]

/** How a visit begins: the referrer, or what a campaign adds to the address. */
const SOURCES: readonly (readonly [weight: number, source: { referrer?: string; query?: string }])[] = [
  [38, {}],
  [26, { referrer: 'https://www.google.com/' }],
  [4, { referrer: 'https://duckduckgo.com/' }],
  [4, { referrer: 'https://www.bing.com/' }],
  [5, { referrer: 'https://news.ycombinator.com/item?id=41872000' }],
  [3, { referrer: 'https://www.reddit.com/r/dataisbeautiful/' }],
  [4, { referrer: 'https://github.com/' }],
  [3, { referrer: 'https://chatgpt.com/' }],
  [6, { query: 'utm_source=newsletter&utm_medium=email&utm_campaign=november' }],
  [4, { query: 'utm_source=google&utm_medium=cpc&utm_campaign=brand&utm_term=river+sensors&gclid=EAIaIQ' }],
  [3, { query: 'utm_source=linkedin&utm_medium=social&utm_campaign=launch' }],
]

const EVENTS: readonly (readonly [weight: number, event: Record<string, unknown>])[] = [
  [5, { name: 'signup', props: { plan: 'free' } }],
  [2, { name: 'signup', props: { plan: 'team', seats: 12 } }],
  [4, { name: 'download', props: { file: 'guide.pdf' } }],
  [2, { name: 'purchase', value: 49, currency: 'EUR', props: { plan: 'solo' } }],
  [6, { name: 'video_seen', interactive: false, duration_ms: 31_000 }],
]

/**
 * Visitors of a small public site, without end: where they come from, what they read, for how long, and what they do
 * there. Requests come in the order of `atMs`; the same options give the same stream.
 */
export function* visitorRequests(options: VisitorStreamOptions): Generator<VisitorRequest, never> {
  const random = seeded(options.seed)
  const due: VisitorRequest[] = []
  let nextVisitMs = options.startMs
  for (;;) {
    while (due.length === 0 || due[0]!.atMs >= nextVisitMs) {
      due.push(...visit(random, nextVisitMs, options.site))
      due.sort((a, b) => a.atMs - b.atMs)
      nextVisitMs += Math.ceil(random.exponential(60_000 / options.visitsPerMinute))
    }
    yield due.shift()!
  }
}

/** All requests of one visit, in order. */
function visit(random: Random, startMs: number, site: string | undefined): VisitorRequest[] {
  const browser = random.weighted(BROWSERS.map((one) => [one.weight, one] as const))
  const [screenWidth, screenHeight, pixelRatio] = random.pick(browser.screens)
  const language = random.weighted(LANGUAGES)
  const headers = {
    'content-type': 'application/json',
    'user-agent': browser.userAgent,
    'accept-language': language,
    'x-forwarded-for': address(random),
  }
  const common = {
    ...(site !== undefined && { site }),
    language: language.split(',')[0],
    screen_width: screenWidth,
    screen_height: screenHeight,
    pixel_ratio: pixelRatio,
  }
  return steps(random, startMs).map(({ atMs, hit }) => ({
    atMs,
    headers,
    body: JSON.stringify({
      sent_at: atMs,
      hits: [{ ...common, hit_id: randomUuid(random), created_at: atMs, ...hit }],
    }),
  }))
}

interface Step {
  readonly atMs: number
  readonly hit: Record<string, unknown>
}

/** What one visitor does: pages, the time spent on each, and now and then an event. */
function steps(random: Random, startMs: number): Step[] {
  const source = random.weighted(SOURCES)
  const done: Step[] = []
  let atMs = startMs
  let referrer = source.referrer
  const pages = 1 + Math.min(12, Math.floor(random.exponential(1.6)))
  for (let i = 0; i < pages; i++) {
    const page = random.weighted(PAGES)
    const url = `${HOST}${page.path}${i === 0 && source.query ? `?${source.query}` : ''}`
    const pageId = randomUuid(random)
    const tags = { section: page.section }
    done.push({
      atMs,
      hit: { type: 'page_view', hit_id: pageId, url, title: page.title, tags, ...(referrer && { referrer }) },
    })
    const seenMs = 1_500 + Math.floor(random.exponential(25_000))
    if (random.next() < 0.12) {
      const when = atMs + Math.floor(seenMs * random.next())
      done.push({ atMs: when, hit: { type: 'event', url, ...random.weighted(EVENTS) } })
    }
    if (random.next() < 0.8) done.push({ atMs: atMs + seenMs, hit: engagementOf(random, pageId, url, seenMs) })
    atMs += seenMs + 1 + random.below(400)
    referrer = url
  }
  return done
}

function engagementOf(random: Random, pageId: string, url: string, seenMs: number): Record<string, unknown> {
  const engagedMs = Math.floor(seenMs * (0.5 + random.next() / 2))
  return { type: 'engagement', page_id: pageId, url, engaged_ms: engagedMs, scroll_percent: 10 + random.below(91) }
}

/** An address of a block that is set aside for documentation or benchmarks: nobody's. */
function address(random: Random): string {
  return `198.${18 + random.below(2)}.${random.below(256)}.${1 + random.below(254)}`
}
