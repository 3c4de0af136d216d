/** Each word of the query language by its name, so that none is left out: dimensions, operators, metrics. */
import { type HitRow, SESSION_COLUMNS, type SessionRow } from '@millrace/shared'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { DIMENSION_NAMES, findDimension } from './dimensions.ts'
import { type FilledStore, openFilledStore } from './filled-store.fixture.ts'
import { isNumeric, type Operator } from './filter.ts'
import { parseGoal } from './goals.ts'
import { METRIC_NAMES } from './metrics.ts'
import { parseQuery } from './parse-query.ts'
import { type Numbers, type PlainFilter, recountPlainly } from './plain-recount.fixture.ts'
import { type RandomSite, randomSite, SITE_ZONE, seeded } from './random-site.fixture.ts'
import { makeReport } from './report.ts'

const NOW_MS = Date.UTC(2026, 10, 9)
/** No clock changes in it, and few enough minutes for an answer. */
const [FROM_MS, TO_MS] = [Date.UTC(2026, 9, 27), Date.UTC(2026, 9, 31)]

/** Columns of arrival, place and device: the same on all rows of a session. The others vary from hit to hit already. */
const OF_ARRIVAL = Object.keys(SESSION_COLUMNS).slice(
  Object.keys(SESSION_COLUMNS).indexOf('session_referrer'),
  Object.keys(SESSION_COLUMNS).indexOf('screen_width'),
)
const WORDS = ['', 'a', 'bb', 'b c', "d'\\e", 'ü10']

function filledSite(): RandomSite {
  const made = randomSite('blog', 120, 11)
  const words = new Map<string, Record<string, string>>()
  const random = seeded(12)
  const ofSession = <Row extends HitRow | SessionRow>(row: Row): Row => {
    let own = words.get(row.session_id)
    if (!own) {
      const some = (): string => WORDS[Math.floor(random() * WORDS.length)]!
      own = Object.fromEntries([...OF_ARRIVAL, 'bot_reason'].map((name) => [name, some()]))
      words.set(row.session_id, own)
    }
    return { ...row, ...own, entry_path: row.entry_path || own.channel! }
  }
  const sessions = made.sessions.map(ofSession)
  const entries = new Map(sessions.map(({ session_id, entry_path }) => [session_id, entry_path]))
  const hits = made.hits
    .map(ofSession)
    .map((hit) => ({ ...hit, entry_path: entries.get(hit.session_id) ?? hit.entry_path }))
  return { hits, sessions, signed: made.signed.map(ofSession) }
}

const data = filledSite()
const GOAL = { type: 'event', event_name: 'buy' } as const

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([data])
})
afterAll(() => filled?.close())

async function compare(
  dimensions: string[],
  filter: PlainFilter | null,
  metrics: string[],
): Promise<Map<string, Numbers>> {
  const body = {
    site: 'blog',
    period: { from: FROM_MS, to: TO_MS },
    timezone: 'UTC',
    dimensions,
    metrics,
    limit: 10_000,
  }
  const context = { nowMs: NOW_MS, siteZone: SITE_ZONE, goals: [parseGoal('goal', GOAL)!] }
  const query = parseQuery({ ...body, include_bots: true, ...(filter && { filter }) }, context)
  const { rows } = await makeReport(query, { store: filled.store, siteZone: SITE_ZONE, nowMs: NOW_MS })
  const counted = recountPlainly(
    {
      site: 'blog',
      fromMs: FROM_MS,
      toMs: TO_MS,
      timezone: 'UTC',
      dimensions,
      filter,
      includeBots: true,
      goals: [GOAL],
    },
    data,
  )
  const some = (numbers: Readonly<Record<string, unknown>>): boolean => metrics.some((name) => Boolean(numbers[name]))
  const wanted = new Map([...counted].filter(([, numbers]) => some(numbers)))
  const found = rows.filter(some).map((row) => [dimensions.map((name) => row[name]).join('\t'), row] as const)
  const asked = `${dimensions} ${JSON.stringify(filter)}`
  expect(new Set(found.map(([key]) => key)), asked).toEqual(new Set(wanted.keys()))
  for (const [key, row] of found) {
    for (const name of metrics) {
      const number = wanted.get(key)![name] ?? null
      if (number === null || row[name] === null) expect(row[name], `${name} of ${key}: ${asked}`).toBe(number)
      else expect(row[name], `${name} of ${key}: ${asked}`).toBeCloseTo(number, 6)
    }
  }
  return wanted
}

/** Every operator, with a value made from one that is there. `null`: it is not for this dimension. */
const OPERATORS: Record<Operator, (value: string, name: string) => PlainFilter | null> = {
  is: (value, name) => ({ dimension: name, is: [own(value, name, 'is')] }),
  is_not: (value, name) => ({ dimension: name, is_not: [own(value, name, 'is_not')] }),
  contains: (value, name) => ({ dimension: name, contains: [value.slice(-1)] }),
  contains_not: (value, name) => ({ dimension: name, contains_not: [value.slice(-1)] }),
  matches: (value, name) => ({ dimension: name, matches: [`^${quoted(value)}$`] }),
  matches_not: (value, name) => ({ dimension: name, matches_not: [`^${quoted(value)}$`] }),
  greater: (value, name) => ordered(value, name, 'greater'),
  less: (value, name) => ordered(value, name, 'less'),
}
const quoted = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
const own = (value: string, name: string, operator: Operator): string | number =>
  isNumeric(findDimension(name)!, operator) ? Number(value) : value

function ordered(value: string, name: string, operator: 'greater' | 'less'): PlainFilter | null {
  const dimension = findDimension(name)!
  if (dimension.kind === 'column' && dimension.type === 'String') return null
  if (dimension.kind === 'map' && dimension.map === 'tags') return null
  const limit = own(value, name, operator)
  return Number.isNaN(limit) ? null : { dimension: name, [operator]: [limit] }
}

const NAMES = [...DIMENSION_NAMES, 'props.plan', 'props.seats', 'tags.section']
const COUNTS = ['visitors', 'page_views', 'events', 'sessions', 'bounces', 'entries', 'exits']

describe('a query', () => {
  it.each(NAMES)('by %s, and with every operator on it, equals a plain recount', async (name) => {
    const rows = await compare([name], null, COUNTS)
    const values = [...rows.keys()].filter((key) => key !== '').sort()
    expect(values.length, 'the data have some values of it').toBeGreaterThan(0)
    for (const [operator, make] of Object.entries(OPERATORS)) {
      const filter = make(values[values.length >> 1]!, name)
      if (filter) await compare([], filter, COUNTS)
      else expect(['greater', 'less']).toContain(operator)
    }
  })

  it.each(METRIC_NAMES)('for %s alone equals a plain recount, by day, by page and filtered', async (name) => {
    await compare([], null, [name])
    await compare(['day'], null, [name])
    await compare(['path'], { dimension: 'country', is_not: [''] }, [name])
  })
})
