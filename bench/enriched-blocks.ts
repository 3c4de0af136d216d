import { AgentReader, BatchEnricher, PartitionState, readRaw } from '@millrace/enricher'
import type { StoredRecord } from '@millrace/log'
import { hitId, rawLine, rawValue } from '@millrace/testing'
import { newGeo, newReading, RULES, randomFrom } from './enricher-parts.ts'

/** The two blocks of an enriched record. */
export interface EnrichedBlocks {
  readonly hits: Buffer
  readonly sessions: Buffer
}

const START = Date.UTC(2026, 10, 21, 12)
const PARTITIONS = 4
const VISITORS = 20_000
const PAGES = 400
const HITS_PER_MS = 5
const AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/26.0 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0',
]

/** Raw records of page views of 20,000 visitors at 5,000 a second, four partitions in turn: always the same. */
export function rawRecords(hits: number, perRecord: number): StoredRecord[] {
  const random = randomFrom(1)
  return Array.from({ length: Math.ceil(hits / perRecord) }, (_, offset) => {
    const value = rawValue(
      Array.from({ length: perRecord }, (__, i) => lineOf(offset * perRecord + i, offset % PARTITIONS, random)),
    )
    const timestamp = START + Math.floor((offset * perRecord) / HITS_PER_MS)
    return { offset, timestamp, key: null, value, headers: {} }
  })
}

/** What the enricher makes of them, a record of each. */
export function enrichedBlocks(records: readonly StoredRecord[]): EnrichedBlocks[] {
  const reading = newReading()
  const geo = newGeo()
  const agents = new AgentReader()
  const partitions = Array.from({ length: PARTITIONS }, (_, partition) => ({
    enricher: new BatchEnricher({ agents, geo, build: 'bench', kp: 4096 + partition }, () => RULES, 0),
    state: new PartitionState(RULES.sessionTimeoutMs),
  }))
  return records.map((record) => {
    const { enricher, state } = partitions[record.offset % PARTITIONS]!
    enricher.add(state, readRaw(record, reading))
    return enricher.finish(state)
  })
}

function lineOf(n: number, partition: number, random: (below: number) => number): ReturnType<typeof rawLine> {
  const time = START + Math.floor(n / HITS_PER_MS)
  const visitor = random(VISITORS / PARTITIONS) * PARTITIONS + partition
  const page = random(PAGES)
  const hit = {
    type: 'page_view' as const,
    hit_id: hitId(n),
    created_at: time,
    url: `https://example.com/articles/2026/${page}-a-title-of-some-length`,
    referrer: 'https://example.com/',
    title: `A title of some length, number ${page}`,
    language: 'de-AT',
    screen_width: 1920,
    screen_height: 1080,
  }
  return rawLine([hit], {
    collected_at: time,
    sent_at: time,
    ip: `${11 + (visitor % 80)}.0.${visitor >> 8}.${visitor & 255}`,
    user_agent: AGENTS[visitor % AGENTS.length]!,
    headers: { 'accept-language': 'de-AT,de;q=0.9,en;q=0.8' },
  })
}
