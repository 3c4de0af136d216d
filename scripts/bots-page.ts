/** docs/reference/bots.md: the rules by which a hit is taken for a bot's, from the table that decides. */
import { AGENT_RULES, REQUEST_RULES } from '../services/enricher/src/steps/bots.ts'

interface Row {
  readonly name: string
  readonly reason: string
  readonly finds: string
  readonly source: string
}

const KINDS: readonly (readonly [title: string, text: string, has: (row: Row) => boolean])[] = [
  [
    'What a client says of itself',
    'Looked for in this order, after the names below.',
    ({ reason }) => reason === 'ua_missing' || reason === 'headless' || reason === 'headers_automation',
  ],
  ['AI crawlers', 'They collect texts to train or feed models, or index them for answers.', of('ai_crawler')],
  ['AI assistants', 'They fetch a page because somebody asked for it.', of('ai_assistant')],
  ['HTTP libraries', 'Looked for at the beginning of the user agent.', of('ua_library')],
  ['Other bots by name', 'Search engines, previews of links, feeds, monitors, marketing, scanners.', of('ua_bot')],
  [
    'What a request tells',
    'Asked when no rule above has spoken.',
    (row) => REQUEST_RULES.some(({ name }) => name === row.name),
  ],
]

function of(reason: string): (row: Row) => boolean {
  return (row) => row.reason === reason
}

const link = (source: string): string =>
  source.startsWith('https://') && !source.includes(' ') ? `<${source}>` : source

/** The page. Every rule stands in exactly one of its tables. */
export function botsPage(): string {
  const rules: readonly Row[] = [...AGENT_RULES, ...REQUEST_RULES]
  const sections = KINDS.map(([title, text, has]) => {
    const rows = rules
      .filter(has)
      .map(
        ({ name, reason, finds, source }) =>
          `| \`${name}\` | \`${reason}\` | ${finds.replaceAll('|', '\\|')} | ${link(source)} |`,
      )
    return `## ${title}\n\n${text}\n\n| rule | reason | it finds | source |\n| --- | --- | --- | --- |\n${rows.join('\n')}\n`
  })
  return `# Bots

A bot's hit is kept and marked, never dropped: \`is_bot\` and \`bot_reason\` stand in its row and in its session, reports leave
bots out unless they are asked for them, and [the verdicts](verdicts.md) count them. \`is_bot\` belongs to the session: a
verdict that comes in mid-visit starts a session of its own, and the visitor's other hits stay a person's.

The reason is that of the first rule that speaks: no user agent, then a name, then isbot for what has no name here, then
contradictions, then what the request tells, and last how fast the visitor is. A site switches a rule off by its name, in the setting
\`disabled_bot_rules\`; the next rule that speaks counts then. \`client_kind\`, \`device_type\` and \`browser\` say what the client
says of itself, whatever the site switches off: a library has the kind \`library\`, a bot the kind \`bot\` and the device type \`bot\`,
and both have their own name in \`browser\`.

What no rule looks at, because people send it too: HTTP/1.1, \`TE: trailers\`, \`Connection\`, a missing Accept-Language,
missing \`Sec-\` headers (plain HTTP has none), \`Cache-Control: no-cache\`, old versions.

${sections.join('\n')}`
}
