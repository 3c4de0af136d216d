/**
 * `npm run bench -- enrich`: CPU of the enricher per hit, from the bytes of hits.raw to the bytes of hits.enriched, in one
 * thread and without a log: cold (nothing remembered) and warm, with the headers that a browser sends. Then the step that
 * reads agents alone, a flood in which nothing comes twice (what is remembered stays bounded), and what a restore costs, from the
 * records and from a checkpoint.
 * The streams are always the same: 20,000 visitors with real user agents, 5,000 hits a second.
 * Options: --hits (200000) --batch (500) --per-request (1) --headers (browser | few).
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import {
  AcceptedRecords,
  AgentReader,
  BatchEnricher,
  Checkpoints,
  ColdFolder,
  IN_MEMORY,
  PartitionState,
  readAgent,
  readRaw,
  StateReader,
} from '@millrace/enricher'
import type { StoredRecord } from '@millrace/log'
import { hitId, rawLine, rawValue } from '@millrace/testing'
import { newGeo, newReading, RULES, randomFrom } from './enricher-parts.ts'

const { values: args } = parseArgs({
  options: {
    hits: { type: 'string', default: '200000' },
    batch: { type: 'string', default: '500' },
    'per-request': { type: 'string', default: '1' },
    headers: { type: 'string', default: 'browser' },
  },
})
const HITS = Number(args.hits)
const BATCH = Number(args.batch)
const PER_REQUEST = Number(args['per-request'])
const PER_RECORD = 50
const HITS_PER_SECOND = 5_000
const START = Date.UTC(2026, 10, 21, 12)
const VISITORS = 20_000

const random = randomFrom(1)

interface Client {
  readonly userAgent: string
  readonly headers: Record<string, string>
}

/** People's user agents of the enricher's own table, each with the headers that its kind of browser sends. */
const CLIENTS: readonly Client[] = readFileSync(
  new URL('../services/enricher/src/steps/agents.tsv', import.meta.url),
  'utf8',
)
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'))
  .filter((cells) => cells[8] === 'browser' && cells[9] === '')
  .map((cells) => ({ userAgent: cells[10]!, headers: headersOf(cells[10]!) }))

function headersOf(userAgent: string): Record<string, string> {
  const headers: Record<string, string> = { 'accept-language': 'de-AT,de;q=0.9,en;q=0.8' }
  if (args.headers === 'few') return headers
  headers['accept-encoding'] = 'gzip, deflate, br, zstd'
  headers['sec-fetch-dest'] = 'empty'
  headers['sec-fetch-mode'] = 'cors'
  headers['sec-fetch-site'] = 'cross-site'
  const chromium = / Chrome\/(\d+)/.exec(userAgent)?.[1]
  if (chromium === undefined) return headers
  headers['sec-ch-ua'] = `"Google Chrome";v="${chromium}", "Not?A_Brand";v="8", "Chromium";v="${chromium}"`
  headers['sec-ch-ua-mobile'] = userAgent.includes(' Mobile ') ? '?1' : '?0'
  headers['sec-ch-ua-platform'] = userAgent.includes('Windows') ? '"Windows"' : '"Android"'
  return headers
}

const PLAIN = CLIENTS.filter(({ headers }) => headers['sec-ch-ua'] === undefined || args.headers === 'few')

function requestOf(n: number, time: number, client: Client, ip: string): ReturnType<typeof rawLine> {
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
  const { userAgent, headers } = client
  return rawLine(hits, { collected_at: time, sent_at: time, ip, user_agent: userAgent, headers })
}

type MakeRequest = (n: number, time: number) => ReturnType<typeof rawLine>

function stream(hits: number, request: MakeRequest, start = START): StoredRecord[] {
  return Array.from({ length: hits / PER_RECORD }, (_, offset) => {
    const time = start + Math.floor((offset * PER_RECORD * 1_000) / HITS_PER_SECOND)
    const lines = Array.from({ length: PER_RECORD / PER_REQUEST }, (__, i) =>
      request((offset * PER_RECORD) / PER_REQUEST + i, time),
    )
    return { offset, timestamp: time, key: null, value: rawValue(lines), headers: {} }
  })
}

/** Visitors who come again and again. */
const visit: MakeRequest = (n, time) => {
  const visitor = random(VISITORS)
  return requestOf(
    n,
    time,
    CLIENTS[visitor % CLIENTS.length]!,
    `${11 + (visitor % 80)}.0.${visitor >> 8}.${visitor & 255}`,
  )
}
/** Nothing comes twice: neither address nor agent nor hint nor language. */
const flood: MakeRequest = (n, time) => {
  const client = CLIENTS[n % CLIENTS.length]!
  const headers = {
    ...client.headers,
    'accept-language': `de-AT;q=0.${n}`,
    'sec-ch-ua-platform-version': `"${n}.0.0"`,
    'sec-ch-ua-model': `"Phone ${n}"`,
  }
  const ip = `${11 + (n % 200)}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`
  return requestOf(n, time, { userAgent: `${client.userAgent} App/${n}`, headers }, ip)
}

const reading = newReading()

/**
 * Microseconds of processor time a hit, all threads of the process together: what else the machine does while it runs counts
 * less than by the clock. `us` is the middle batch, `readUs` what of it was reading, `meanUs` all batches with the collection
 * of garbage and everything that is rare.
 */
interface Run {
  readonly us: number
  readonly readUs: number
  readonly meanUs: number
  readonly rows: number
  readonly outBytes: number
}

/** An enricher with caches of its own. */
class Bench {
  readonly agents = new AgentReader()
  readonly geo = newGeo()
  readonly state = new PartitionState(RULES.sessionTimeoutMs)
  readonly written: { streamTime: number; hits: Buffer; sessions: Buffer }[] = []
  readonly #enricher = new BatchEnricher(
    { agents: this.agents, geo: this.geo, build: 'bench', kp: 4096 },
    () => RULES,
    0,
  )

  run(part: readonly StoredRecord[], keep = true): Run {
    let rows = 0
    let outBytes = 0
    const times: { readonly all: number; readonly read: number }[] = []
    const before = process.cpuUsage()
    for (let at = 0; at < part.length; at += BATCH / PER_RECORD) {
      const start = process.cpuUsage()
      const read = part.slice(at, at + BATCH / PER_RECORD).map((record) => readRaw(record, reading))
      const readUs = microseconds(start)
      for (const record of read) this.#enricher.add(this.state, record)
      const batch = this.#enricher.finish(this.state)
      times.push({ all: microseconds(start) / batch.rows, read: readUs / batch.rows })
      rows += batch.rows
      outBytes += batch.hits.length + batch.sessions.length
      if (keep) this.written.push({ streamTime: this.state.streamTime, hits: batch.hits, sessions: batch.sessions })
    }
    const middle = times.toSorted((a, b) => a.all - b.all)[Math.floor(times.length / 2)]!
    return { us: middle.all, readUs: middle.read, meanUs: microseconds(before) / rows, rows, outBytes }
  }
}

function microseconds(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since)
  return user + system
}

/** JSON.parse alone on the same lines, the middle record: what the machine gives just now, and the floor. */
function parseOnly(part: readonly StoredRecord[]): number {
  const times = part.map(({ value }) => {
    const start = process.cpuUsage()
    let rows = 0
    for (const line of value!.toString('latin1').trimEnd().split('\n')) rows += JSON.parse(line).hits.length
    return microseconds(start) / rows
  })
  return times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!
}

const whole = (n: number): string => Math.round(n).toLocaleString('en')
const show = (name: string, { us, readUs, meanUs, rows, outBytes }: Run, more = ''): void =>
  console.log(
    `${name.padEnd(8)} ${us.toFixed(2).padStart(6)} µs/hit (reading ${readUs.toFixed(2)}, mean ${meanUs.toFixed(2)})  ${whole(1e6 / us).padStart(8)} hits/s per core  ` +
      `${Math.round(outBytes / rows)} bytes out a hit${more}`,
  )

function measureStream(): void {
  const records = stream(HITS, visit)
  const bytes = records.reduce((sum, { value }) => sum + value!.length, 0)
  console.log(
    `${whole(HITS)} hits, ${Math.round(bytes / HITS)} bytes each, batches of ${BATCH}, ${PER_REQUEST} a request, ${args.headers} headers, ` +
      `${CLIENTS.length} user agents, ${PLAIN.length} of them without hints`,
  )
  const bench = new Bench()
  const cold = records.slice(0, 10_000 / PER_RECORD)
  const rest = records.slice(cold.length)
  show('cold', bench.run(cold))
  for (let i = 0; i < 5; i++) {
    const part = rest.slice((i * rest.length) / 5, ((i + 1) * rest.length) / 5)
    const floor = parseOnly(part)
    const warm = bench.run(part)
    show(`warm ${i + 1}`, warm, `, ${(warm.us / floor).toFixed(1)} times JSON.parse alone (${floor.toFixed(2)})`)
  }
  const { state } = bench
  console.log(
    `${whole(state.sessionCount)} sessions, ${whole(state.dedupEntries)} hit_ids, ${whole(process.memoryUsage().rss / 2 ** 20)} MB`,
  )
  measureRestore(bench)
}

function measureRestore({ written }: Bench): void {
  const path = mkdtempSync(join(tmpdir(), 'millrace-bench-enrich-'))
  const fail = (error: unknown): never => {
    throw error
  }
  const folder = new ColdFolder(path, fail, true)
  const empty = (): PartitionState => new PartitionState(RULES.sessionTimeoutMs, { folder, ...IN_MEMORY })
  const restored = empty()
  const reader = new StateReader(restored)
  const before = process.cpuUsage()
  for (const record of written) reader.add(record)
  restored.settle()
  console.log(
    `restore  ${(microseconds(before) / HITS).toFixed(2).padStart(6)} µs/hit: ${whole(restored.sessionCount)} sessions, ${whole(restored.dedupEntries)} hit_ids`,
  )
  measureCheckpoint(new Checkpoints(folder, 'bench', fail), restored, path, empty)
  rmSync(path, { recursive: true })
}

function measureCheckpoint(
  checkpoints: Checkpoints,
  state: PartitionState,
  path: string,
  empty: () => PartitionState,
): void {
  const point = { kp: 4096, partition: 0, head: 1, nextRaw: 1, state, accepted: new AcceptedRecords(-1) }
  const saving = performance.now()
  checkpoints.save(point, { key: null, value: null })
  const saveMs = performance.now() - saving
  const own = readdirSync(join(path, 'partition-0')).filter((name) => !name.startsWith('remembered-'))
  const bytes = own.reduce((sum, name) => sum + statSync(join(path, 'partition-0', name)).size, 0)
  const loading = performance.now()
  const loaded = empty()
  checkpoints.find(0, 4096)!.load(loaded)
  loaded.settle()
  const loadMs = performance.now() - loading
  console.log(
    `checkpoint  ${saveMs.toFixed(0)} ms to write ${(bytes / 2 ** 20).toFixed(1)} MB, ${loadMs.toFixed(0)} ms to load: ` +
      `${whole(loaded.sessionCount)} sessions, ${whole(loaded.asideCount)} of them aside, ${whole(loaded.dedupEntries)} hit_ids`,
  )
  loaded.close()
  state.close()
}

/** The step alone, as the pipeline calls it: request objects are new, their texts are not. */
function measureAgents(): void {
  const cold = process.cpuUsage()
  for (const { userAgent, headers } of CLIENTS) readAgent(userAgent, headers)
  const coldUs = microseconds(cold) / CLIENTS.length
  const agents = new AgentReader()
  // Texts as JSON.parse makes them: new ones for each request, so that their hashes are not known either.
  const lines = CLIENTS.map((client) => JSON.stringify(client))
  const rounds = 200
  const parsing = (read: boolean): number => {
    const before = process.cpuUsage()
    for (let i = 0; i < rounds; i++) {
      for (const line of lines) {
        const request = JSON.parse(line) as Client
        if (read) agents.read(request)
      }
    }
    return microseconds(before) / (rounds * lines.length)
  }
  parsing(true)
  const without = parsing(false)
  const withAgents = parsing(true)
  console.log(
    `agents   ${coldUs.toFixed(1)} µs cold, ${(withAgents - without).toFixed(2)} µs warm (JSON.parse of the same headers ${without.toFixed(2)})`,
  )
}

/** Two hours of the stream lie between the rounds, so that what grows is not the sessions. */
function measureFlood(): void {
  const bench = new Bench()
  const rounds = 4
  const hits = Math.min(HITS, 40_000)
  for (let i = 0; i < rounds; i++) {
    const part = stream(hits, (n, time) => flood(n + i * (hits / PER_REQUEST), time), START + i * 2 * 3_600_000)
    const run = bench.run(part, false)
    const heap = process.memoryUsage().heapUsed / 2 ** 20
    show(
      `flood ${i + 1}`,
      run,
      `, remembered: ${whole(bench.agents.size)} agents, ${whole(bench.geo.size)} addresses; heap ${whole(heap)} MB`,
    )
  }
}

measureStream()
measureAgents()
measureFlood()
