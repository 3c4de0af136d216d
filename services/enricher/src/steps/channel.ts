import type { SourceKind } from './sources.ts'

/** Channels in the order in which they are tried; the first that matches counts. */
export const CHANNELS = [
  'Cross-network',
  'Paid Shopping',
  'Paid Search',
  'Paid Social',
  'Paid Video',
  'Display',
  'Paid Other',
  'Organic Shopping',
  'Organic Social',
  'Organic Video',
  'Organic Search',
  'Email',
  'Affiliates',
  'Audio',
  'SMS',
  'Mobile Push',
  'AI Assistants',
  'Referral',
  'Direct',
] as const
export type Channel = (typeof CHANNELS)[number]

/** What is known of an arrival. Texts are in lower case; '' and null = not said. */
interface ChannelFacts {
  readonly medium: string
  readonly campaign: string
  /** utm_source as sent, in lower case. */
  readonly tag: string
  /** Kind of the source that utm_source names, else of the one whose click id came along. */
  readonly kind: SourceKind | null
  /** The same, else the referrer's: where an advertisement was seen. */
  readonly adKind: SourceKind | null
  /** utm_medium says that it was paid, or, without one, a click id that only advertisements carry. */
  readonly paid: boolean
  /** Another site, or a tagged link. */
  readonly external: boolean
}

/** One rule: `when` is the text of docs/reference/channels.md. */
export interface ChannelRule {
  readonly channel: Channel
  readonly when: string
  matches(facts: ChannelFacts): boolean
}

const PAID_MEDIUM = /^(?:.*cp.*|ppc|retargeting|paid.*)$/
const SHOP_CAMPAIGN = /^(?:.*(?:(?:[^a-df-z]|^)shop|shopping).*)$/
const DISPLAY_MEDIA = ['display', 'banner', 'expandable', 'interstitial', 'cpm']
const SOCIAL_MEDIA = ['social', 'social-network', 'social-media', 'sm', 'social network', 'social media']
const EMAIL_WORDS = ['email', 'e-mail', 'e_mail', 'e mail']
const AFFILIATE_MEDIA = ['affiliate', 'affiliates']
const REFERRAL_MEDIA = ['referral', 'app', 'link']

/** Whether utm_medium (lower case) says that somebody paid. */
const isPaidMedium = (medium: string): boolean => PAID_MEDIUM.test(medium)
const isSocial = (kind: SourceKind | null): boolean => kind === 'social' || kind === 'chat'

const rule = (channel: Channel, when: string, matches: ChannelRule['matches']): ChannelRule => ({
  channel,
  when,
  matches,
})

/**
 * The rules of Google Analytics' default channel group (support.google.com/analytics/answer/9756891), with click ids and
 * AI assistants added, and a channel for everything.
 */
export const CHANNEL_RULES: readonly ChannelRule[] = [
  rule('Cross-network', 'the campaign contains `cross-network`', (f) => f.campaign.includes('cross-network')),
  rule(
    'Paid Shopping',
    'paid, and the source is a shop or the campaign contains `shop` (not after a to d or f to z) or `shopping`',
    (f) => f.paid && (f.adKind === 'shopping' || SHOP_CAMPAIGN.test(f.campaign)),
  ),
  rule('Paid Search', 'paid, and the source is a search engine', (f) => f.paid && f.adKind === 'search'),
  rule('Paid Social', 'paid, and the source is a social network or a messenger', (f) => f.paid && isSocial(f.adKind)),
  rule('Paid Video', 'paid, and the source is a video site', (f) => f.paid && f.adKind === 'video'),
  rule('Display', `the medium is one of ${DISPLAY_MEDIA.map((word) => `\`${word}\``).join(', ')}`, (f) =>
    DISPLAY_MEDIA.includes(f.medium),
  ),
  rule('Paid Other', 'paid', (f) => f.paid),
  rule(
    'Organic Shopping',
    'the source is a shop, or the campaign contains `shop` or `shopping` as above',
    (f) => f.kind === 'shopping' || SHOP_CAMPAIGN.test(f.campaign),
  ),
  rule(
    'Organic Social',
    `the source is a social network or a messenger, or the medium is one of ${SOCIAL_MEDIA.map((word) => `\`${word}\``).join(', ')}`,
    (f) => isSocial(f.kind) || SOCIAL_MEDIA.includes(f.medium),
  ),
  rule(
    'Organic Video',
    'the source is a video site, or the medium contains `video`',
    (f) => f.kind === 'video' || f.medium.includes('video'),
  ),
  rule(
    'Organic Search',
    'the source is a search engine, or the medium is `organic`',
    (f) => f.kind === 'search' || f.medium === 'organic',
  ),
  rule(
    'Email',
    `the source is a mailbox or a newsletter tool, or source or medium is one of ${EMAIL_WORDS.map((word) => `\`${word}\``).join(', ')}`,
    (f) => f.kind === 'mail' || EMAIL_WORDS.includes(f.tag) || EMAIL_WORDS.includes(f.medium),
  ),
  rule('Affiliates', 'the medium is `affiliate` or `affiliates`', (f) => AFFILIATE_MEDIA.includes(f.medium)),
  rule(
    'Audio',
    'the source is an audio site, or the medium is `audio`',
    (f) => f.kind === 'audio' || f.medium === 'audio',
  ),
  rule('SMS', 'source or medium is `sms`', (f) => f.kind === 'sms' || f.medium === 'sms'),
  rule(
    'Mobile Push',
    'the medium ends with `push` or contains `mobile` or `notification`, or the source is `firebase` or `onesignal`',
    (f) =>
      f.kind === 'push' ||
      f.medium.endsWith('push') ||
      f.medium.includes('mobile') ||
      f.medium.includes('notification'),
  ),
  rule('AI Assistants', 'the source is an AI assistant', (f) => f.kind === 'ai'),
  rule(
    'Referral',
    'another site or app sent the visitor, utm_source is set, or the medium is `referral`, `app` or `link`',
    (f) => f.external || f.tag !== '' || REFERRAL_MEDIA.includes(f.medium),
  ),
  rule('Direct', 'nothing of all that', () => true),
]

/** Rules that speak of what a link says of itself; `Referral` and `Direct` are left for the second round. */
const TAGGED_RULES = CHANNEL_RULES.filter(({ channel }) => channel !== 'Referral' && channel !== 'Direct')

const firstOf = (rules: readonly ChannelRule[], facts: ChannelFacts): Channel | null =>
  rules.find((candidate) => candidate.matches(facts))?.channel ?? null

/** What tells a channel: the link's own words, and the referrer's kind. */
export interface ChannelInput {
  readonly medium: string
  readonly campaign: string
  readonly tag: string
  readonly tagKind: SourceKind | null
  readonly clickKind: SourceKind | null
  readonly clickPaid: boolean
  readonly referrerKind: SourceKind | null
  /** Another site sent the visitor. */
  readonly external: boolean
}

/**
 * The channel of an arrival. Two rounds over the same rules: first what the link says of itself (UTM and click id), then
 * the referrer alone. So a tag is believed before the referrer, and a tag that says nothing leaves it to the referrer.
 */
export function channelOf(input: ChannelInput): Channel {
  const medium = input.medium.trim().toLowerCase()
  const campaign = input.campaign.trim().toLowerCase()
  const tag = input.tag.trim().toLowerCase()
  const kind = input.tagKind ?? input.clickKind
  const isTagged = medium !== '' || campaign !== '' || tag !== '' || kind !== null
  const tagged: ChannelFacts = {
    ...{ medium, campaign, tag, kind, external: input.external },
    adKind: kind ?? input.referrerKind,
    paid: medium === '' ? input.clickPaid : isPaidMedium(medium),
  }
  const channel = isTagged ? firstOf(TAGGED_RULES, tagged) : null
  if (channel !== null) return channel
  const plain = { ...tagged, campaign: '', kind: input.referrerKind, adKind: input.referrerKind, paid: false }
  return firstOf(CHANNEL_RULES, plain) ?? 'Direct'
}
