/** Raw records into the bytes of one enriched record. */
import type { LogRecord, StoredRecord } from '@millrace/log'
import { BlockWriter, HIT_COLUMNS, HITS_RAW, type RowsByMonth } from '@millrace/shared'
import { VerdictCount } from '../facts.ts'
import { MonthCount } from '../month-count.ts'
import { enrich, type Tools } from '../pipeline.ts'
import { type DeadLetter, type RawHit, type ReadingTools, readRecord } from '../raw-hit.ts'
import type { PartitionState } from '../sessions/partition-state.ts'
import { readAhead } from '../sessions/read-ahead.ts'
import { SessionChanges } from '../sessions/session-changes.ts'
import { type SiteRules, step } from '../sessions/step.ts'
import { type OpenRow, VISIT_COLUMNS } from '../visit.ts'

/** A record of raw hits, read. */
export interface ReadRecord {
  readonly offset: number
  readonly hits: readonly RawHit[]
  readonly letters: readonly DeadLetter[]
  readonly bytes: number
  /** What has to be read of millrace.config before these hits are enriched; -1 = nothing. */
  readonly configAt: number
}

/** What a batch came to: the two blocks, and what goes to hits.dead. */
export interface EnrichedBatch {
  readonly srcFrom: number
  readonly srcTo: number
  readonly rows: number
  readonly hitRows: RowsByMonth
  readonly sessionRows: RowsByMonth
  readonly hits: Buffer
  readonly sessions: Buffer
  readonly deadLetters: readonly LogRecord[]
  readonly count: VerdictCount
}

/** Rules of a site, and of sites without rules of their own. */
export type RulesOf = (site: string) => SiteRules

/** Reads a raw record; never throws. */
export function readRaw(record: StoredRecord, tools: ReadingTools): ReadRecord {
  const hits: RawHit[] = []
  const letters: DeadLetter[] = []
  const configAt = readRecord(record, tools, hits, letters)
  return { offset: record.offset, hits, letters, bytes: record.value?.length ?? 0, configAt }
}

/** Days whose salts the hits of a record need. */
export const daysNeeded = ({ hits }: ReadRecord): Set<number> =>
  new Set(hits.filter(({ dead }) => dead === '').map(({ day }) => day))

/**
 * A record of hits.enriched stays below its topic's 16 MB: a batch ends after the raw record with which its guessed size
 * exceeds this. What one raw record (256 KB, 1,000 hits) can add on top is a few MB.
 */
const FULL_BYTES = 6 << 20
/** Fixed columns and short texts of a row, about. */
const ROW_BYTES = 320
const SESSION_BYTES = 400

/** Enriches raw records into enriched ones, one after the other. The writers keep their memory from batch to batch. */
export class BatchEnricher {
  readonly #tools: Tools
  readonly #rulesOf: RulesOf
  readonly #partition: number
  readonly #hits = new BlockWriter<OpenRow>(HIT_COLUMNS, VISIT_COLUMNS)
  readonly #changes: SessionChanges
  readonly #hitMonths = new MonthCount()
  #count = new VerdictCount()
  #deadLetters: LogRecord[] = []
  /** Offsets of the first and the last record of the batch; -1 = there is none yet. */
  #srcFrom = -1
  #srcTo = -1
  #bytes = 0

  constructor(tools: Tools, rulesOf: RulesOf, partition: number) {
    this.#tools = tools
    this.#rulesOf = rulesOf
    this.#partition = partition
    this.#changes = new SessionChanges(tools.kp)
  }

  /** No more records fit into the batch. */
  get isFull(): boolean {
    return this.#bytes >= FULL_BYTES
  }

  /** Takes the next record into the batch, and changes the state accordingly. */
  add(state: PartitionState, record: ReadRecord): void {
    if (this.#srcFrom === -1) this.#srcFrom = record.offset
    this.#srcTo = record.offset
    this.#bytes += record.bytes + this.#addHits(state, record.hits)
    for (const letter of record.letters) this.#deadLetters.push(this.#deadRecord(letter))
  }

  /** Ends the batch, of at least one record. */
  finish(state: PartitionState): EnrichedBatch {
    const rows = this.#hits.rows
    const { sessions, sessionRows } = this.#changes.finish(state)
    const batch: EnrichedBatch = {
      srcFrom: this.#srcFrom,
      srcTo: this.#srcTo,
      rows,
      hitRows: this.#hitMonths.take(),
      sessionRows,
      hits: this.#hits.finish(),
      sessions,
      deadLetters: this.#deadLetters,
      count: this.#count,
    }
    this.#count = new VerdictCount()
    this.#deadLetters = []
    this.#srcFrom = this.#srcTo = -1
    this.#bytes = 0
    return batch
  }

  /** Returns about how many bytes its rows take, besides the texts that the raw record has too. */
  #addHits(state: PartitionState, hits: readonly RawHit[]): number {
    const touchedBefore = state.touched.length
    for (const { sender } of hits) if (sender.session !== null) readAhead(sender.session)
    let bytes = 0
    for (const hit of hits) {
      const rules = this.#rulesOf(hit.sender.site)
      const enriched = enrich(hit, rules.settings, this.#tools)
      step(state, enriched, rules, this.#changes)
      this.#hits.append(enriched.row)
      this.#hitMonths.add(enriched.row.day)
      this.#count.add(enriched.row)
      bytes += repeatedBytes(enriched.row)
    }
    for (let i = touchedBefore; i < state.touched.length; i++) {
      const { entryPath, exitPath, exitTitle, arrival } = state.touched[i]!
      bytes += 2 * (SESSION_BYTES + entryPath.length + exitPath.length + exitTitle.length + arrival.referrer.length)
    }
    return bytes
  }

  #deadRecord({ bytes, reason, offset, index }: DeadLetter): LogRecord {
    const headers = {
      reason: Buffer.from(reason),
      topic: Buffer.from(HITS_RAW.name),
      partition: Buffer.from(String(this.#partition)),
      offset: Buffer.from(String(offset)),
      index: Buffer.from(String(index)),
    }
    return { key: null, value: bytes, headers }
  }
}

/** Texts of a row that its own hit did not bring along. */
const repeatedBytes = (row: OpenRow): number =>
  ROW_BYTES + row.entry_path.length + row.previous_path.length + row.arrival.referrer.length
