/** One partition without a log: raw records in, enriched records out, for tests of everything but the log. */
import type { StoredRecord } from '@millrace/log'
import {
  BlockWriter,
  DEFAULT_SITE_SETTINGS,
  type EnrichedRecord,
  HIT_COLUMNS,
  type HitRow,
  LocalDays,
  readRows,
  type SessionRow,
} from '@millrace/shared'
import { AcceptedRecords } from '../partition/accepted.ts'
import { Checkpoints } from '../partition/checkpoints.ts'
import { BatchEnricher, readRaw } from '../partition/enrich-batch.ts'
import type { Tools } from '../pipeline.ts'
import type { ReadingTools } from '../raw-hit.ts'
import { Senders } from '../senders.ts'
import { type Aside, PartitionState } from '../sessions/partition-state.ts'
import { StateReader } from '../sessions/restore-rows.ts'
import type { SiteRules } from '../sessions/step.ts'
import { AgentReader } from '../steps/agent.ts'
import { GeoReader } from '../steps/geo.ts'
import { RATE_LIMIT, type RateLimit } from '../steps/request-rate.ts'
import { type OpenRow, VISIT_COLUMNS } from '../visit.ts'

export const MINUTE = 60_000

/** 2026-11-21 12:00 UTC. */
export const NOON = Date.UTC(2026, 10, 21, 12)

/** The salt of a day in tests. */
export const saltOf = (day: number): Buffer => Buffer.alloc(32, day % 251)
export const RULES: SiteRules = {
  days: new LocalDays('UTC'),
  sessionTimeoutMs: 30 * MINUTE,
  settings: DEFAULT_SITE_SETTINGS,
  rate: RATE_LIMIT,
}
/** Sites with a timeout of their own. */
const TIMEOUTS: Readonly<Record<string, number>> = { quick: 10 * MINUTE, slow: 60 * MINUTE }
const LONGEST_TIMEOUT_MS = 60 * MINUTE
const rulesOf = (site: string): SiteRules => {
  const sessionTimeoutMs = TIMEOUTS[site]
  return sessionTimeoutMs === undefined ? RULES : { ...RULES, sessionTimeoutMs }
}
export const READING: ReadingTools = {
  salts: { saltOf },
  rulesOf,
  installationSecret: () => null,
  fingerprintHeaders: [],
  senders: new Senders(),
}
export const TOOLS: Tools = { agents: new AgentReader(), geo: new GeoReader(null), build: 'test', kp: 4096 }

/** A record of hits.raw. */
export const rawRecord = (offset: number, timestamp: number, value: Buffer | null): StoredRecord => ({
  offset,
  timestamp,
  key: null,
  value,
  headers: {},
})

/** A record of hits.enriched without its place in the chain. */
export type LabRecord = Pick<EnrichedRecord, 'hits' | 'sessions' | 'streamTime' | 'rows' | 'srcFrom' | 'srcTo'>

/** A partition whose state can be thrown away and restored. */
export class Lab {
  state: PartitionState
  readonly records: LabRecord[] = []
  readonly #enricher: BatchEnricher
  readonly #aside: Aside | null
  /** Of how many records a checkpoint was made. */
  #saved = 0

  /** `rate`: of all sites; null = the rule is switched off. Who gives `aside` has to close the lab. */
  constructor(rate: RateLimit | null = RATE_LIMIT, aside: Aside | null = null) {
    this.#aside = aside
    this.state = new PartitionState(LONGEST_TIMEOUT_MS, aside)
    this.#enricher = new BatchEnricher(TOOLS, (site) => ({ ...rulesOf(site), rate }), 0)
  }

  /** Enriches raw records as one batch. */
  enrich(raw: readonly StoredRecord[]): LabRecord {
    for (const record of raw) this.#enricher.add(this.state, readRaw(record, READING))
    const record = { ...this.#enricher.finish(this.state), streamTime: this.state.streamTime }
    this.records.push(record)
    return record
  }

  /** Makes a checkpoint, which restores from then on begin with. It needs a folder of its own for what is put aside. */
  save(): void {
    const at = { kp: TOOLS.kp, partition: 0, head: this.records.length - 1, nextRaw: 0 }
    const { state } = this
    this.#checkpoints.save({ ...at, state, accepted: new AcceptedRecords(-1) }, { key: null, value: null })
    this.#saved = this.records.length
  }

  get #checkpoints(): Checkpoints {
    return new Checkpoints(this.#aside!.folder, 'test', (error) => {
      throw error
    })
  }

  /**
   * Drops the state and makes it again, as a restart does: from the checkpoint and the records since then, or from those since
   * stream time S - X.
   */
  restore(): void {
    const before = this.state.streamTime - this.state.memoryMs - 16
    this.state.close()
    this.state = new PartitionState(LONGEST_TIMEOUT_MS, this.#aside)
    if (this.#saved > 0) this.#checkpoints.find(0, TOOLS.kp)!.load(this.state)
    const from = this.#saved > 0 ? this.#saved : this.records.findLastIndex((record) => record.streamTime < before) + 1
    const reader = new StateReader(this.state)
    for (const record of this.records.slice(from)) reader.add(record)
    this.state.settle()
  }

  close(): void {
    this.state.close()
  }

  rows(): HitRow[] {
    return this.records.flatMap(({ hits }) => readRows<HitRow>(hits))
  }

  sessionRows(): SessionRow[] {
    return this.records.flatMap(({ sessions }) => readRows<SessionRow>(sessions))
  }
}

/** A row as it is stored. */
export function storedRow(row: OpenRow): HitRow {
  const writer = new BlockWriter<OpenRow>(HIT_COLUMNS, VISIT_COLUMNS)
  writer.append(row)
  return readRows<HitRow>(writer.finish())[0]!
}

/** What remains when rows of sign -1 take back those of sign +1. @throws Error when one takes back what was not there */
export function collapse(rows: readonly SessionRow[]): SessionRow[] {
  const live = new Map<string, SessionRow>()
  for (const row of rows) {
    const key = `${row.session_id} ${row.version}`
    if (row.sign === 1) {
      if (live.has(key)) throw new Error(`version ${key} was written twice`)
      live.set(key, row)
      continue
    }
    const plus = live.get(key)
    if (plus === undefined) throw new Error(`version ${key} was taken back and never written`)
    if (contentOf(plus) !== contentOf(row)) throw new Error(`version ${key} was taken back as something else`)
    live.delete(key)
  }
  return [...live.values()]
}

/** Everything but the sign and the position of the record that carries it. */
export const contentOf = ({ sign: _sign, kp: _kp, ko: _ko, ...content }: SessionRow): string => JSON.stringify(content)
