import { readFileSync } from 'node:fs'
import type { SessionRow } from '@millrace/shared'
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

/** `0 view /a?utm_source=x ref=… id=1 at=0 as=2 site=s host=h`; `every=20 to=1440 view /b` repeats. */
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
    row.engaged_ms > 0 && `engaged=${row.engaged_ms}`,
    row.utm_source && `utm=${row.utm_source}`,
    row.session_referrer && `ref=${row.session_referrer}`,
  ]
    .filter(Boolean)
    .join(' ')
}

const scripts = readFileSync(new URL('session-scripts.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => {
    const [title, hits, sessions] = line.split('\t') as [string, string, string]
    return { title, hits: hits.split(' | ').flatMap(readHit), sessions }
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
  it.each(scripts)('$title', ({ hits, sessions }) => {
    const lab = new Lab()
    run(
      lab,
      hits.map(({ time, value }, offset) => rawRecord(offset, START + time, value)),
    )
    const stored = collapse(lab.sessionRows()).toSorted((a, b) => a.start - b.start)
    expect(stored.map(writeSession).join(' | ')).toBe(sessions)
  })
})
