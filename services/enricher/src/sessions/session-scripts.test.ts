import { readFileSync } from 'node:fs'
import { dateOfDay, type HitRow, type SessionRow } from '@millrace/shared'
import { engagement, event, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { collapse, Lab, MINUTE, NOON, rawRecord } from '../testing/lab.ts'

/** Scripts start here: 2026-11-21 06:00 UTC. */
const START = NOON - 360 * MINUTE

/** `5`, `4:59.999`: minutes and seconds as milliseconds. */
function readTime(text: string): number {
  const [minutes, seconds] = text.split(':')
  return Number(minutes) * MINUTE + Math.round(Number(seconds ?? 0) * 1_000)
}

const writeTime = (ms: number): string =>
  ms % MINUTE === 0
    ? String(ms / MINUTE)
    : `${Math.floor(ms / MINUTE)}:${String(((ms % MINUTE) / 1_000).toFixed(3)).padStart(6, '0')}`

interface Sent {
  readonly time: number
  readonly value: Buffer
}

let lastId = 1_000

/** The rules of docs/numbers.md that scripts show. */
const RULES_SHOWN = [
  'gap',
  'site timeout',
  'cap',
  'bounce',
  'engagement',
  'duration',
  'new source',
  'hit_id',
  'late',
  'visitor',
  'bot',
  'time on page',
  'request rate',
]
/** In the scripts of that rule; the real one would make them long. */
const RATE = { hits: 5, perSecond: 1 / 60 }
const BOT_AGENT = 'curl/8.5.0'

/**
 * `0 view /a?utm_source=x ref=… id=1 at=0 as=2 site=s host=h bot`: minute, kind, path, then what else there is to say: `at`
 * = when it happened, `as` = who, `bot` = by an HTTP library, `ahead` = fetched before anybody looks. `every=20 to=1440 view /b` repeats. Site `quick` has a timeout of 10 minutes, `slow` of 60.
 */
function readHit(text: string): Sent[] {
  const words = text.trim().split(' ')
  const options = Object.fromEntries(
    words
      .filter((word) => /^[a-z]+=/.test(word))
      .map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  )
  const kind = words.find((word) => ['view', 'event', 'seen'].includes(word))!
  const url = `https://${options.host ?? 'example.com'}${words.find((word) => word.startsWith('/')) ?? '/'}`
  const common = { url, referrer: options.ref ?? '' }
  const id = (): string => hitId(options.id ? Number(options.id) : lastId++)
  const hit = () =>
    kind === 'view'
      ? { ...pageView(common), hit_id: id() }
      : kind === 'event'
        ? { ...event({ ...common, interactive: !words.includes('passive') }), hit_id: id() }
        : { ...engagement({ page_id: hitId(Number(options.page)), engaged_ms: Number(options.ms) }), hit_id: id() }
  const times = options.every
    ? Array.from(
        { length: Number(options.to) / Number(options.every) },
        (_, i) => (i + 1) * Number(options.every) * MINUTE,
      )
    : [readTime(words[0]!)]
  return times.map((time) => {
    const at = options.at === undefined ? time : readTime(options.at)
    const line = rawLine([{ ...hit(), created_at: at }], {
      sent_at: time,
      ip: `203.0.113.${options.as ?? 1}`,
      site: options.site ?? 'blog',
      ...(words.includes('bot') && { user_agent: BOT_AGENT }),
      ...(words.includes('ahead') && { headers: { 'sec-purpose': 'prefetch' } }),
    })
    return { time, value: rawValue([line]) }
  })
}

function writeSession(row: SessionRow): string {
  return [
    `${writeTime(row.start - START)}-${writeTime(row.end - START)}`,
    row.page_views > 0 && `views=${row.page_views}`,
    row.events > 0 && `events=${row.events}`,
    `${row.entry_path}>${row.exit_path}`,
    row.is_bounce && 'bounce',
    row.is_bot && `bot=${row.bot_reason}`,
    row.engaged_ms > 0 && `engaged=${row.engaged_ms}`,
    row.utm_source && `utm=${row.utm_source}`,
    row.session_referrer && `ref=${row.session_referrer}`,
    row.site !== 'blog' && `site=${row.site}`,
    row.day !== Math.floor(START / 86_400_000) && `day=${dateOfDay(row.day)}`,
  ]
    .filter(Boolean)
    .join(' ')
}

/** `/a=60000`: the page that was left and how long it was seen; `late`; a verdict other than keep; `-`: none of it. */
function writeRow(row: HitRow): string {
  if (row.verdict !== 'keep') return row.verdict
  if (row.late) return 'late'
  return row.previous_path === '' ? '-' : `${row.previous_path}=${row.previous_ms}`
}

const scripts = readFileSync(new URL('session-scripts.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => {
    const [title, rule, hits, sessions, rows] = line.split('\t') as [string, string, string, string, string]
    return { title, rule, script: hits, hits: hits.split(' | ').flatMap(readHit), sessions, rows }
  })

describe.each([
  [
    'hit by hit',
    (lab: Lab, records: ReturnType<typeof rawRecord>[]) => records.forEach((record) => void lab.enrich([record])),
  ],
  ['in one batch', (lab: Lab, records: ReturnType<typeof rawRecord>[]) => void lab.enrich(records)],
  [
    'with a restore after each hit',
    (lab: Lab, records: ReturnType<typeof rawRecord>[]) => {
      for (const record of records) {
        lab.enrich([record])
        lab.restore()
      }
    },
  ],
])('a session, %s', (_, run) => {
  it.each(scripts)('$title ($rule)', ({ rule, hits, sessions, rows }) => {
    const lab = rule === 'request rate' ? new Lab(RATE) : new Lab()
    run(
      lab,
      hits.map(({ time, value }, offset) => rawRecord(offset, START + time, value)),
    )
    const stored = collapse(lab.sessionRows()).toSorted((a, b) => a.start - b.start || a.end - b.end)
    expect(stored.map(writeSession).sort().join(' | ')).toBe(sessions.split(' | ').sort().join(' | '))
    if (rows !== '') expect(lab.rows().map(writeRow).join(' ')).toBe(rows)
  })
})

describe('the scripts', () => {
  it('are at least 100, all different, and show every rule', () => {
    expect(new Set(scripts.map(({ script }) => script)).size).toBeGreaterThanOrEqual(100)
    expect(new Set(scripts.map(({ title }) => title)).size).toBe(scripts.length)
    expect([...new Set(scripts.map(({ rule }) => rule))].sort()).toEqual([...RULES_SHOWN].sort())
  })
})
