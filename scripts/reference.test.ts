import { readFileSync } from 'node:fs'
import {
  BOT_REASONS,
  DEAD_REASONS,
  EngagementHit,
  type EnrichedRecord,
  EventHit,
  encodeEnriched,
  HIT_COLUMNS,
  PageViewHit,
  SESSION_COLUMNS,
  TOPICS,
  VERDICTS,
} from '@millrace/shared'
import { describe, expect, test } from 'vitest'
import { DIMENSION_NAMES } from '../services/aggregator/src/query/dimensions.ts'
import { METRIC_NAMES } from '../services/aggregator/src/query/metrics.ts'
import { QuerySchema } from '../services/aggregator/src/query/schema.ts'
import { PAGES, referencePath } from './reference.ts'

const EMPTY = Buffer.alloc(0)
const page = (name: string): string => readFileSync(referencePath(name), 'utf8')

/** The part of a page from the heading to the next of the same or a higher level. */
function section(text: string, heading: string): string {
  const [, level] = /^(#+)/.exec(heading)!
  const rest = text.slice(text.indexOf(`${heading}\n`) + heading.length)
  const end = rest.search(new RegExp(`^#{1,${level!.length}} `, 'm'))
  return end < 0 ? rest : rest.slice(0, end)
}
/** First cells of the table rows that are code. */
const firstCells = (text: string): string[] => [...text.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1]!)

describe('docs/reference', () => {
  const api = page('http-api.md')

  test('it describes every field of a hit, and no other', () => {
    const fields = [PageViewHit, EventHit, EngagementHit].flatMap((schema) => Object.keys(schema.properties))
    expect(firstCells(section(api, '### Fields')).sort()).toEqual([...new Set(fields)].sort())
  })

  test('it describes every field, metric and dimension of a query, and no other', () => {
    const text = section(api, '## POST /v1/query')
    expect(firstCells(text.split('\n### ')[0]!).sort()).toEqual(Object.keys(QuerySchema.properties).sort())
    expect(firstCells(section(api, '### Metrics'))).toEqual(METRIC_NAMES)
    const dimensions = section(api, '### Dimensions').split('\n\nA session')[0]!
    expect([...dimensions.matchAll(/`([a-z_]+)`/g)].map((match) => match[1]).sort()).toEqual(
      [...DIMENSION_NAMES].sort(),
    )
  })

  for (const [name, make] of Object.entries(PAGES)) {
    test(`it has ${name} as the code says (npm run docs)`, () => expect(page(name)).toBe(make()))
  }

  test('it describes every column of hits, and no other', () => {
    expect(firstCells(section(page('schema.md'), '## hits'))).toEqual(Object.keys(HIT_COLUMNS))
  })

  test('it describes every column of sessions, and no other', () => {
    const text = section(page('schema.md'), '## sessions')
    const named = [...text.slice(0, text.indexOf('| column')).matchAll(/`([a-z_]+)`/g)].map((match) => match[1]!)
    const repeated = named.filter((name) => name in SESSION_COLUMNS)
    expect([...firstCells(text), ...repeated].sort()).toEqual(Object.keys(SESSION_COLUMNS).sort())
  })

  test('it describes every verdict and reason, and no other', () => {
    const text = page('verdicts.md')
    expect(firstCells(text)).toEqual([...VERDICTS, ...DEAD_REASONS, ...BOT_REASONS])
  })

  test('it describes every topic, and no other', () => {
    const table = page('topics.md').split('\n## ')[0]!
    expect(firstCells(table).sort()).toEqual(TOPICS.map((topic) => topic.name).sort())
  })

  test('it describes every header of hits.enriched, and no other', () => {
    const { headers } = encodeEnriched({
      hitRows: {},
      sessionRows: {},
      hits: EMPTY,
      sessions: EMPTY,
      build: '',
      geo: '',
    } as EnrichedRecord)
    expect(firstCells(section(page('topics.md'), '## hits.enriched')).sort()).toEqual(Object.keys(headers).sort())
  })
})
