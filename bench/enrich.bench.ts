/**
 * `npm run bench -- enrich`: CPU of the enricher per hit, from the bytes of hits.raw to the bytes of hits.enriched, in one
 * thread and without a log. The stream is always the same: 20,000 visitors, 60 user agents, 5,000
 * hits a second. Ends with what a restore of it costs. Options: --hits (300000) --batch (500) --per-request (1).
 */
import { parseArgs } from 'node:util'
import { AgentReader, BatchEnricher, PartitionState, readRaw, StateReader } from '@millrace/enricher'
import type { StoredRecord } from '@millrace/log'
import { LocalDays } from '@millrace/shared'
import { hitId, rawLine, rawValue } from '@millrace/testing'

const { values: args } = parseArgs({
  options: {
    hits: { type: 'string', default: '300000' },
    batch: { type: 'string', default: '500' },
    'per-request': { type: 'string', default: '1' },
  },
})
const HITS = Number(args.hits)
const BATCH = Number(args.batch)
const PER_REQUEST = Number(args['per-request'])
const PER_RECORD = 50
const HITS_PER_SECOND = 5_000
const START = Date.UTC(2026, 10, 21, 12)
const VISITORS = 20_000

let seed = 1
/** Whole numbers below `below`, the same in every run. */
function random(below: number): number {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return Math.floor((seed / 4_294_967_296) * below)
}

const AGENTS = Array.from(
  { length: 60 },
  (_, i) =>
    `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${90 + i}.0.0.0 Safari/537.36`,
)

function requestOf(n: number, time: number): ReturnType<typeof rawLine> {
  const visitor = random(VISITORS)
  const hits = Array.from({ length: PER_REQUEST }, (_, i) => ({
    type: 'page_view' as const,
    hit_id: hitId(n * PER_REQUEST + i),
    created_at: time - 20 - random(200),
    url: `https://example.com/articles/2026/${random(400)}-a-title-of-some-length`,
    referrer: 'https://example.com/',
    title: `A title of some length, number ${random(400)}`,
    language: 'de-AT',
    screen_width: 1920,
    screen_height: 1080,
    pixel_ratio: 1,
  }))
  return rawLine(hits, {
    collected_at: time,
    sent_at: time,
    ip: `10.0.${visitor >> 8}.${visitor & 255}`,
    user_agent: AGENTS[visitor % AGENTS.length]!,
    headers: { 'accept-language': 'de-AT,de;q=0.9,en;q=0.8' },
  })
}

function stream(): StoredRecord[] {
  return Array.from({ length: HITS / PER_RECORD }, (_, offset) => {
    const time = START + Math.floor((offset * PER_RECORD * 1_000) / HITS_PER_SECOND)
    const lines = Array.from({ length: PER_RECORD / PER_REQUEST }, (__, i) =>
      requestOf((offset * PER_RECORD) / PER_REQUEST + i, time),
    )
    return { offset, timestamp: time, key: null, value: rawValue(lines), headers: {} }
  })
}

const records = stream()
const bytes = records.reduce((sum, { value }) => sum + value!.length, 0)
const rules = { days: new LocalDays('UTC'), sessionTimeoutMs: 30 * 60_000 }
const salt = Buffer.alloc(32, 7)
const reading = { salts: { saltOf: () => salt }, daysOf: () => rules.days }
const state = new PartitionState(rules.sessionTimeoutMs)
const enricher = new BatchEnricher({ agents: new AgentReader(), build: 'bench', kp: 4096 }, () => rules, 0)

const written: { streamTime: number; hits: Buffer; sessions: Buffer }[] = []

/** CPU of the enricher on `part` of the stream, microseconds a hit. */
function run(part: readonly StoredRecord[]): { us: number; readUs: number; rows: number; outBytes: number } {
  let rows = 0
  let outBytes = 0
  let readUs = 0
  const before = process.cpuUsage()
  for (let at = 0; at < part.length; at += BATCH / PER_RECORD) {
    const readBefore = process.cpuUsage()
    const read = part.slice(at, at + BATCH / PER_RECORD).map((record) => readRaw(record, reading))
    const readCpu = process.cpuUsage(readBefore)
    readUs += readCpu.user + readCpu.system
    const batch = enricher.enrich(state, read)
    rows += batch.rows
    outBytes += batch.hits.length + batch.sessions.length
    written.push({ streamTime: state.streamTime, hits: batch.hits, sessions: batch.sessions })
  }
  const { user, system } = process.cpuUsage(before)
  return { us: (user + system) / rows, readUs: readUs / rows, rows, outBytes }
}

/** JSON.parse alone on the same lines: what the machine gives just now, and the floor. */
function parseOnly(part: readonly StoredRecord[]): number {
  const before = process.cpuUsage()
  let rows = 0
  for (const { value } of part) {
    for (const line of value!.toString('latin1').trimEnd().split('\n')) rows += JSON.parse(line).hits.length
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / rows
}

const show = (name: string, { us, readUs, rows, outBytes }: ReturnType<typeof run>): void =>
  console.log(
    `${name.padEnd(14)} ${us.toFixed(2).padStart(6)} µs/hit (reading ${readUs.toFixed(2)})  ${Math.round(1e6 / us).toLocaleString('en')} hits/s per core  ` +
      `${Math.round(outBytes / rows)} bytes out a hit`,
  )

console.log(
  `${HITS.toLocaleString('en')} hits, ${Math.round(bytes / HITS)} bytes each, batches of ${BATCH}, ${PER_REQUEST} a request`,
)
const cold = records.slice(0, 10_000 / PER_RECORD)
const rest = records.slice(cold.length)
show('cold', run(cold))
for (let i = 0; i < 5; i++) {
  const part = rest.slice((i * rest.length) / 5, ((i + 1) * rest.length) / 5)
  const floor = parseOnly(part)
  const warm = run(part)
  show(`warm ${i + 1}`, warm)
  console.log(`               ${(warm.us / floor).toFixed(1)} times JSON.parse alone (${floor.toFixed(2)} µs/hit)`)
}
console.log(
  `${state.sessionCount.toLocaleString('en')} sessions, ${state.dedupEntries.toLocaleString('en')} hit_ids, ${Math.round(process.memoryUsage().rss / 2 ** 20)} MB`,
)

const restored = new PartitionState(rules.sessionTimeoutMs)
const reader = new StateReader(restored)
const before = process.cpuUsage()
for (const record of written) reader.add(record)
restored.settle()
const { user, system } = process.cpuUsage(before)
console.log(
  `restore ${((user + system) / HITS).toFixed(2)} µs/hit: ${restored.sessionCount} sessions, ${restored.dedupEntries} hit_ids`,
)
