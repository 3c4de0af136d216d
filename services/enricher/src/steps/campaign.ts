import { maskText } from './mask.ts'
import { MAX_CAMPAIGN, readText } from './text.ts'

/** What a link says of itself by the parameters of its url. '' = not said. */
export interface Campaign {
  readonly source: string
  readonly medium: string
  readonly campaign: string
  readonly content: string
  readonly term: string
  /** Kind of click id, such as `gclid`. */
  readonly clickIdKind: string
}

/** What of the parameters counts. */
export interface CampaignOptions {
  /** `ref` and `source` stand for utm_source; not on links within the site, where they mean anything. */
  readonly plainNames: boolean
  /** `mtm_*` and `pk_*` stand for utm_*. */
  readonly aliases: boolean
  readonly mask: boolean
}

type Field = 'source' | 'medium' | 'campaign' | 'content' | 'term'
/** A parameter that stands for a UTM value; of several with a value the lowest rank counts, then the first. */
interface Parameter {
  readonly field: Field
  readonly rank: number
  readonly when: 'always' | 'plainNames' | 'aliases'
}

const UTM_RANK = 0
const named = (rank: number, when: Parameter['when'], names: Readonly<Record<string, Field>>): [string, Parameter][] =>
  Object.entries(names).map(([name, field]) => [name, { field, rank, when }])

/** Parameters of a campaign. `mtm_keyword` and `pk_kwd` are Matomo's and Piwik's words for utm_term. */
export const CAMPAIGN_PARAMETERS: ReadonlyMap<string, Parameter> = new Map([
  ...named(UTM_RANK, 'always', {
    utm_source: 'source',
    utm_medium: 'medium',
    utm_campaign: 'campaign',
    utm_content: 'content',
    utm_term: 'term',
  }),
  ...named(1, 'plainNames', { source: 'source' }),
  ...named(2, 'plainNames', { ref: 'source' }),
  ...named(3, 'aliases', {
    mtm_source: 'source',
    mtm_medium: 'medium',
    mtm_campaign: 'campaign',
    mtm_content: 'content',
    mtm_keyword: 'term',
  }),
  ...named(4, 'aliases', {
    pk_source: 'source',
    pk_medium: 'medium',
    pk_campaign: 'campaign',
    pk_content: 'content',
    pk_keyword: 'term',
    pk_kwd: 'term',
  }),
])

/** Click ids: `source` is who adds it, `paid` whether only advertisements carry it. The id itself is never kept. */
export interface ClickId {
  readonly kind: string
  readonly source: string
  readonly paid: boolean
  readonly meaning: string
}
export const CLICK_IDS: readonly ClickId[] = [
  { kind: 'gclid', source: 'Google', paid: true, meaning: 'Google Ads' },
  { kind: 'gbraid', source: 'Google', paid: true, meaning: 'Google Ads, from an iOS app' },
  { kind: 'wbraid', source: 'Google', paid: true, meaning: 'Google Ads, from the web to iOS' },
  { kind: 'msclkid', source: 'Bing', paid: true, meaning: 'Microsoft Advertising' },
  {
    kind: 'fbclid',
    source: 'Facebook',
    paid: false,
    meaning: 'any link on Facebook and Instagram, advertisements too',
  },
  { kind: 'ttclid', source: 'TikTok', paid: true, meaning: 'TikTok Ads' },
  { kind: 'twclid', source: 'X', paid: true, meaning: 'X Ads' },
  { kind: 'li_fat_id', source: 'LinkedIn', paid: true, meaning: 'LinkedIn Ads' },
]
const CLICK_ID_KINDS = new Map(CLICK_IDS.map((click) => [click.kind, click]))

/** The click id of a kind; null for ''. */
export const clickIdOf = (kind: string): ClickId | null => CLICK_ID_KINDS.get(kind) ?? null

/** One parameter of a query, decoded as forms are (`+` is a blank, broken percent signs stay). */
function decode(part: string): string {
  if (!part.includes('%') && !part.includes('+')) return part
  return new URLSearchParams(`v=${part}`).get('v') ?? ''
}

/**
 * The campaign of a query (without `?`); null when nothing in it counts. Empty values count as missing. Of several click
 * ids the last counts: each network adds its own at the end.
 */
export function readCampaign(query: string, options: CampaignOptions): Campaign | null {
  if (query === '') return null
  const values = { source: '', medium: '', campaign: '', content: '', term: '' }
  const ranks = { source: 9, medium: 9, campaign: 9, content: 9, term: 9 }
  let clickIdKind = ''
  let found = false
  for (let start = 0; start < query.length; ) {
    const next = query.indexOf('&', start)
    const end = next === -1 ? query.length : next
    const equals = query.indexOf('=', start)
    if (equals > start && equals < end - 1) {
      const name = decode(query.slice(start, equals))
      if (CLICK_ID_KINDS.has(name)) {
        clickIdKind = name
        found = true
      }
      const known = CAMPAIGN_PARAMETERS.get(name)
      if (known && known.rank < ranks[known.field] && (known.when === 'always' || options[known.when])) {
        const value = readText(decode(query.slice(equals + 1, end)), MAX_CAMPAIGN)
        if (value !== '') {
          values[known.field] = options.mask ? maskText(value) : value
          ranks[known.field] = known.rank
          found = true
        }
      }
    }
    start = end + 1
  }
  return found ? { ...values, clickIdKind } : null
}
