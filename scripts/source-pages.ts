/** Reference pages of how visitors came: made from the enricher's own tables. */
import { CAMPAIGN_PARAMETERS, CLICK_IDS } from '../services/enricher/src/steps/campaign.ts'
import { CHANNEL_RULES } from '../services/enricher/src/steps/channel.ts'
import { SOURCE_KINDS, SOURCE_ROWS } from '../services/enricher/src/steps/sources.ts'

const WHEN = {
  always: 'always',
  plainNames: 'except on links within the site',
  aliases: 'where the site has `campaign_aliases`',
} as const

const KIND_CHANNELS: Readonly<Record<(typeof SOURCE_KINDS)[number], string>> = {
  search: 'Organic Search; Paid Search if paid',
  social: 'Organic Social; Paid Social if paid',
  video: 'Organic Video; Paid Video if paid',
  shopping: 'Organic Shopping; Paid Shopping if paid',
  ai: 'AI Assistants',
  mail: 'Email',
  chat: 'Organic Social; Paid Social if paid',
  news: 'Referral',
  audio: 'Audio',
  push: 'Mobile Push',
  sms: 'SMS',
  other: 'Referral',
}

const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(' ')

/** docs/reference/channels.md */
export function channelsPage(): string {
  const rules = CHANNEL_RULES.map(({ channel, when }, i) => `| ${i + 1} | ${channel} | ${when} |`)
  const parameters = [...CAMPAIGN_PARAMETERS].map(
    ([name, { field, when }]) => `| \`${name}\` | \`utm_${field}\` | ${WHEN[when]} |`,
  )
  const clicks = CLICK_IDS.map(
    ({ kind, meaning, source, paid }) => `| \`${kind}\` | ${meaning} | ${source} | ${paid ? 'yes' : 'no'} |`,
  )
  return `# Channels

A session has the channel of its first hit. The rules are tried from the top; the first that matches counts. Letters of either
case are the same. They are those of Google Analytics' default channel group, with click ids and AI assistants added, and with a
channel for everything.

| | channel | when |
| --- | --- | --- |
${rules.join('\n')}

They are tried twice: first with what the link says of itself (UTM parameters and click id), then, if nothing but the last two
matches, with the referrer alone. So a tag is believed before the referrer, and a tag that says nothing leaves it to the referrer.

- **Source**: the entry of [the table of sources](sources.md) that \`utm_source\` names (a tag, a name or a host), else the one whose
  click id came along; in the second round the referrer's. Where an advertisement was seen, the referrer counts too.
- **Paid**: \`utm_medium\` contains \`cp\` (\`cpc\`, \`cpm\`, \`cpa\` …), is \`ppc\` or \`retargeting\`, or begins with \`paid\`. Without a medium, a click id that
  only advertisements carry says the same.
- **Another site**: neither the page's own host, nor of the same registered domain (by the public suffix list, its private part
  included: \`a.github.io\` and \`b.github.io\` are two sites), nor one of the site's \`hostnames\`.

## Parameters

Empty values count as missing; of several parameters for one value the first in this table counts, then the first in the URL.
E-mail addresses and card numbers in them are masked unless the site says otherwise (\`mask_values\`).

| parameter | stands for | when |
| --- | --- | --- |
${parameters.join('\n')}

## Click ids

The kind is kept (\`click_id_kind\`), the id never. Of several the last in the URL counts: each network adds its own at the end.

| parameter | who adds it | source | only advertisements carry it |
| --- | --- | --- | --- |
${clicks.join('\n')}

Kinds of sources, and where a visitor from there goes without a campaign: see [sources](sources.md).
`
}

/** docs/reference/sources.md */
export function sourcesPage(): string {
  const kinds = SOURCE_KINDS.map((kind) => `| \`${kind}\` | ${KIND_CHANNELS[kind]} |`)
  const rows = SOURCE_ROWS.map(
    ({ name, kind, hosts, apps, tags, source }) =>
      `| ${name} | \`${kind}\` | ${code(hosts)} | ${code(apps)} | ${code(tags)} | ${source} |`,
  )
  return `# Sources

\`referrer_name\` is the name of the place that sent a visitor: by the referrer's host or app, else by \`utm_source\`, else by the click
id. A host that the table does not know is its own name, without \`www.\`. Sub-domains belong to their domain unless the table names them
apart; \`.*\` stands for a top-level domain, or for one such as \`co.uk\` or \`com.br\`. Referrers keep scheme, host and path; pages of
browsers and extensions are no referrers.

A source is what decides whether a referrer starts a new session: \`l.facebook.com\` and \`m.facebook.com\` are one, \`www.google.com\` and
\`mail.google.com\` are two.

| kind | channel without a campaign |
| --- | --- |
${kinds.join('\n')}

Where rows are from: *Matomo list* is [matomo-org/searchengine-and-social-list](https://github.com/matomo-org/searchengine-and-social-list),
*GA4 list* the source categories that [Google Analytics publishes](https://support.google.com/analytics/answer/9756891); the others say it
themselves. The table is \`services/enricher/data/sources.tsv\`.

| name | kind | hosts | Android apps | values of \`utm_source\` | from |
| --- | --- | --- | --- | --- | --- |
${rows.join('\n')}
`
}
