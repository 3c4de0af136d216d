/**
 * Who is a bot, and why. A verdict is a rule of the table below: data with a name, a reason and a source, tested one by one
 * and switched off one by one (`disabled_bot_rules` of a site). docs/reference/bots.md is made from it.
 */
import type { BotReason, SiteSettings } from '@millrace/shared'
import { NAMED_PROGRAMS, type NamedProgram } from './bot-names.ts'
import type { ClientHints, KeptHeaders } from './client-hints.ts'
import { REQUEST_RATE } from './request-rate.ts'

/** What a client's own headers tell; the same for all of its requests. */
export interface AgentFacts {
  readonly userAgent: string
  readonly hints: ClientHints | null
  /** The program that the User-Agent header names. */
  readonly program: NamedProgram | null
  /** It names none that we know, and isbot takes it for a bot. */
  readonly generic: boolean
}

/** What a sender tells beside that. */
export interface SenderFacts {
  readonly headers: KeptHeaders
  /** Its address belongs to a network of MILLRACE_DATACENTER_NETWORKS. */
  readonly inDatacenter: boolean
}

/** What only this request tells. */
export interface ReferrerFacts {
  /** As sent; nothing is trusted to be a text. */
  readonly referrer: unknown
  /** The referrer's host is on the spam list. */
  readonly spamReferrer: boolean
}

/** A rule, whatever it looks at. */
export interface Rule {
  /** What a site switches it off by. */
  readonly name: string
  readonly reason: BotReason
  /** For people: what it looks for. */
  readonly finds: string
  /** Why we believe it. */
  readonly source: string
}

/** A rule on a client's headers: decided once, then remembered with the client. */
export interface AgentRule extends Rule {
  readonly test: (facts: AgentFacts) => boolean
}

interface SenderRule extends Rule {
  readonly test: (facts: SenderFacts) => boolean
}

interface ReferrerRule extends Rule {
  readonly test: (facts: ReferrerFacts) => boolean
}

/** The platform that a desktop browser's User-Agent header names, in the words of Sec-CH-UA-Platform. */
function claimedPlatform(userAgent: string): string {
  if (userAgent.includes('(Windows NT')) return 'Windows'
  return userAgent.includes('(Macintosh;') ? 'macOS' : ''
}

const namesFirefox = (userAgent: string): boolean => /\bGecko\/[\d.]+ Firefox\//.test(userAgent)
const namesSafari = (userAgent: string): boolean =>
  userAgent.includes('(Macintosh;') && / Version\/[\d.]+ Safari\//.test(userAgent)

/** Rules on the client, in the order in which a verdict is looked for. */
export const AGENT_RULES: readonly AgentRule[] = [
  {
    name: 'ua_missing',
    reason: 'ua_missing',
    finds: 'a request without a user agent',
    source: 'https://www.rfc-editor.org/rfc/rfc9110#name-user-agent',
    test: ({ userAgent }) => userAgent.trim() === '',
  },
  ...NAMED_PROGRAMS.map((known) => ({
    name: known.rule,
    reason: known.reason,
    finds: `\`${known.token}\` in the user agent`,
    source: known.source,
    test: ({ program }: AgentFacts) => program === known,
  })),
  {
    name: 'isbot',
    reason: 'ua_bot',
    finds: 'a user agent that the library isbot takes for a bot, and that no rule above knows by name',
    source: 'https://github.com/omrilotan/isbot',
    test: ({ generic }) => generic,
  },
  {
    name: 'hints_headless',
    reason: 'headless',
    finds: 'the brand HeadlessChrome in Sec-CH-UA, whatever the user agent says',
    source: 'https://developer.chrome.com/docs/chromium/headless',
    test: ({ hints }) => hints?.headless === true,
  },
  {
    name: 'ua_windows_11',
    reason: 'headers_automation',
    finds: '`Windows NT 11.0`, which no Windows has: Windows 11 says 10.0',
    source: 'https://learn.microsoft.com/en-us/microsoft-edge/web-platform/how-to-detect-win11',
    test: ({ userAgent }) => userAgent.includes('Windows NT 11.'),
  },
  {
    name: 'ua_cut',
    reason: 'headers_automation',
    finds:
      'a user agent that ends in `Safari/537.3`, `Safari/604.` or `Safari/605.1.1`: a public list lost the last letter',
    source: 'https://www.useragents.me/, and requests from several hosting networks within a second, November 2025',
    test: ({ userAgent }) => / Safari\/(?:537\.3|604\.|605\.1\.1)$/.test(userAgent),
  },
  {
    name: 'ua_placeholder',
    reason: 'headers_automation',
    finds: 'a user agent whose version was never filled in: `Chrome/W.X.Y.Z`, `%s`, `{version}`',
    source: 'https://developers.google.com/search/docs/crawling-indexing/google-common-crawlers',
    test: ({ userAgent }) => /Chrome\/W\.X\.Y\.Z|Chrome\/\{|%s|\{\{?[a-z_]+\}/i.test(userAgent),
  },
  {
    name: 'ua_injection',
    reason: 'headers_automation',
    finds: 'code in the user agent: `${jndi:`, `<script`, `() {`, `union select`',
    source: 'https://logging.apache.org/security.html#CVE-2021-44228',
    test: ({ userAgent }) => /\$\{(?:jndi|env|lower|upper):|<script|\(\) *\{|union +(?:all +)?select/i.test(userAgent),
  },
  {
    name: 'hints_other_platform',
    reason: 'headers_automation',
    finds: 'a user agent of Windows or macOS with `Sec-CH-UA-Platform: "Linux"`: Chromium writes both from one source',
    source: 'https://wicg.github.io/ua-client-hints/#sec-ch-ua-platform',
    test: ({ userAgent, hints }) => hints?.platform === 'Linux' && claimedPlatform(userAgent) !== '',
  },
  {
    name: 'hints_of_firefox',
    reason: 'headers_automation',
    finds: 'a user agent of Firefox with Sec-CH-UA, which Firefox does not send',
    source: 'https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-CH-UA#browser_compatibility',
    test: ({ userAgent, hints }) => hints !== null && hints.chromium !== '' && namesFirefox(userAgent),
  },
  {
    name: 'hints_of_safari',
    reason: 'headers_automation',
    finds: 'a user agent of Safari on a Mac with Sec-CH-UA, which Safari does not send',
    source: 'https://developer.mozilla.org/en-US/docs/Web/HTTP/Reference/Headers/Sec-CH-UA#browser_compatibility',
    test: ({ userAgent, hints }) => hints !== null && hints.chromium !== '' && namesSafari(userAgent),
  },
]

const says = (value: unknown, word: string): boolean =>
  typeof value === 'string' && value.length < 256 && value.toLowerCase().includes(word)

/** Rules on the other headers and the address: decided once, then remembered with the sender. */
const SENDER_RULES: readonly SenderRule[] = [
  {
    name: 'sec_purpose_prefetch',
    reason: 'prefetch',
    finds: '`Sec-Purpose: prefetch`, also with `;prerender`: nobody looks at the page yet',
    source: 'https://wicg.github.io/nav-speculation/prefetch.html#sec-purpose-header',
    test: ({ headers }) => says(headers['sec-purpose'], 'prefetch') || says(headers['sec-purpose'], 'prerender'),
  },
  {
    name: 'purpose_prefetch',
    reason: 'prefetch',
    finds: '`Purpose: prefetch` or `prerender`, as older Chrome and Safari say it',
    source: 'https://developer.chrome.com/docs/web-platform/prerender-pages',
    test: ({ headers }) => says(headers.purpose, 'prefetch') || says(headers.purpose, 'prerender'),
  },
  {
    name: 'x_moz_prefetch',
    reason: 'prefetch',
    finds: '`X-Moz: prefetch`, as Firefox says it',
    source: 'https://developer.mozilla.org/en-US/docs/Glossary/Prefetch',
    test: ({ headers }) => says(headers['x-moz'], 'prefetch'),
  },
  {
    name: 'datacenter_ip',
    reason: 'datacenter_ip',
    finds:
      'an address in a network of the list that MILLRACE_DATACENTER_NETWORKS names; without a list it never speaks',
    source: "the operator's own list",
    test: ({ inDatacenter }) => inDatacenter,
  },
]

/** Rules on the referrer: decided once, then remembered with it. */
const REFERRER_RULES: readonly ReferrerRule[] = [
  {
    name: 'referrer_spam',
    reason: 'referrer_spam',
    finds: 'a referrer on the list of spam hosts',
    source: 'https://github.com/matomo-org/referrer-spam-list',
    test: ({ spamReferrer }) => spamReferrer,
  },
  {
    name: 'referrer_injection',
    reason: 'referrer_spam',
    finds: 'a referrer with a bare `<` or `"`: browsers write them as %3C and %22, attempts at injection do not',
    source: 'https://url.spec.whatwg.org/#query-percent-encode-set',
    test: ({ referrer }) => typeof referrer === 'string' && (referrer.includes('<') || referrer.includes('"')),
  },
]

/** Rules on the request, and on what the visitor sent before; they are asked when no rule on the client has spoken. */
export const REQUEST_RULES: readonly Rule[] = [...SENDER_RULES, ...REFERRER_RULES, REQUEST_RATE]

/** Most of us break none: one list for all. */
export const NO_RULES: readonly never[] = []

const brokenOf = <Facts, R extends Rule & { test(facts: Facts): boolean }>(
  rules: readonly R[],
  facts: Facts,
): readonly R[] => {
  const broken = rules.filter((rule) => rule.test(facts))
  return broken.length === 0 ? NO_RULES : broken
}

/** The rules that a client breaks. Pure; decided once for each client. */
export const agentRulesOf = (facts: AgentFacts): readonly AgentRule[] => brokenOf(AGENT_RULES, facts)

/** The rules that a sender breaks, besides those of its client. */
export const senderRulesOf = (facts: SenderFacts): readonly Rule[] => brokenOf(SENDER_RULES, facts)

/** The rules that a referrer breaks. */
export const referrerRulesOf = (facts: ReferrerFacts): readonly Rule[] => brokenOf(REFERRER_RULES, facts)

const NONE_DISABLED: ReadonlySet<string> = new Set()
const disabledOf = new WeakMap<SiteSettings, ReadonlySet<string>>()

/** Names of the rules that a site has switched off; made once for each settings object. */
function disabledRules(site: SiteSettings): ReadonlySet<string> {
  if (site.disabled_bot_rules.length === 0) return NONE_DISABLED
  let disabled = disabledOf.get(site)
  if (disabled === undefined) {
    disabled = new Set(site.disabled_bot_rules)
    disabledOf.set(site, disabled)
  }
  return disabled
}

/**
 * Why a hit is a bot's, by the rules that its client, its sender and its referrer break: the reason of the first that is not
 * switched off; '' = a person's.
 */
export function judge(
  client: readonly Rule[],
  sender: readonly Rule[],
  referrer: readonly Rule[],
  site: SiteSettings,
): BotReason | '' {
  if (client === NO_RULES && sender === NO_RULES && referrer === NO_RULES) return ''
  const disabled = disabledRules(site)
  for (const broken of [client, sender, referrer])
    for (const { name, reason } of broken) if (!disabled.has(name)) return reason
  return ''
}
