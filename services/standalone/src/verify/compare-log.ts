/** hits.raw, recounted by rules written a second time, against rows and sessions. */
import type { EventLog, StoredRecord } from '@millrace/log'
import {
  type ExpectedHit,
  type ExpectedSession,
  type RecountSettings,
  recount,
  type StoredFacts,
} from '@millrace/recount'
import { HITS_RAW } from '@millrace/shared'
import type { Store } from '@millrace/store'
import type { Bounds, PartitionBound } from './bounds.ts'
import type { Findings } from './findings.ts'
import type { Rebuilt } from './rebuilt.ts'

const ROW = 'I1 every raw hit of the log has its row'
const EQUAL = 'I5 hits equal the independent recount of the log'
const SESSION = 'I5 sessions equal the independent recount of the log'
const DAY_MS = 86_400_000
/** Raw bytes whose rows are read by one query: each reads all of its days, so the more rows there are, the fewer it should be. */
const PIECE_BYTES = { least: 16 << 20, most: 64 << 20, perStoredRow: 16 }
/** Their ids are one parameter, of which ClickHouse takes 128 KB over HTTP (http_max_field_value_size). */
const PIECE_SESSIONS = 5_000
const NO_SESSION = '0000000000000000'

/** A row of `hits`. Integers of 64 bits are text. */
interface StoredHit extends StoredFacts {
  readonly rows: number
  readonly site: string
  readonly type: string
  readonly hitId: string
  readonly verdict: string
  readonly reason: string
  readonly late: boolean
  readonly time: string
  readonly receivedAt: string
  readonly session: string
}

export interface LogParts {
  readonly log: EventLog
  readonly store: Pick<Store, 'query'>
  readonly findings: Findings
  readonly rebuilt: Rebuilt
  readonly bounds: Bounds
  /** Zone and timeout of each site, as they are now. */
  readonly settings: Pick<RecountSettings, 'zone' | 'sessionTimeoutMs' | 'longestSessionTimeoutMs'> &
    Required<Pick<RecountSettings, 'siteOf'>>
  /** When the settings of a site were last changed, epoch ms; 0 = never: what was counted before followed others. */
  readonly changedAt: (site: string) => number
  readonly progress: (text: string) => void
}

/** Recounts every partition as far as it is inserted. */
export async function compareLog(parts: LogParts): Promise<void> {
  for (const bound of parts.bounds.partitions) {
    if (bound.raw.low >= bound.below) continue
    parts.progress(`hits.raw, partition ${bound.partition}: raw offsets ${bound.raw.low} to ${bound.below - 1}`)
    if (bound.raw.low > 0)
      parts.findings.notCompared(
        `partition ${bound.partition}: raw offsets below ${bound.raw.low}, gone by the retention of hits.raw; visits that had begun before`,
      )
    await new PartitionComparison(parts, bound).run()
  }
}

class PartitionComparison {
  readonly #parts: LogParts
  readonly #bound: PartitionBound
  readonly #rows = new Map<string, StoredHit>()
  /** Number of a session in the recount -> its stored id, and the other way round. */
  readonly #idOf = new Map<number, string>()
  readonly #numberOf = new Map<string, number>()
  #sessions: ExpectedSession[] = []
  #beganAt = 0

  constructor(parts: LogParts, bound: PartitionBound) {
    this.#parts = parts
    this.#bound = bound
  }

  async run(): Promise<void> {
    const { settings, bounds } = this.#parts
    const { partition, raw } = this.#bound
    await recount(
      [{ partition, batches: this.#batches() }],
      {
        ...settings,
        epoch: bounds.epoch,
        // Visitors are told apart by who sent, so names are not needed: an empty list lets the recount forget them.
        salts: new Map(),
        isCut: raw.low > 0,
        storedOf: (_kp, ko, ki) => this.#rows.get(`${ko}/${ki}`),
        onSession: (session) => this.#sessions.push(session),
      },
      (hit) => this.#compareHit(hit),
    )
    await this.#compareSessions(0)
  }

  /** The records, each piece after its rows were read. */
  async *#batches(): AsyncGenerator<readonly StoredRecord[]> {
    const enough = await this.#pieceBytes()
    let piece: StoredRecord[] = []
    let bytes = 0
    for await (const records of this.#read()) {
      piece.push(...records)
      bytes += records.reduce((sum, { value }) => sum + (value?.length ?? 0), 0)
      if (bytes < enough) continue
      yield await this.#withRows(piece)
      const { partition, below } = this.#bound
      this.#parts.progress(`hits.raw, partition ${partition}: at raw offset ${records.at(-1)!.offset} of ${below - 1}`)
      piece = []
      bytes = 0
    }
    if (piece.length > 0) yield await this.#withRows(piece)
  }

  async #pieceBytes(): Promise<number> {
    const { least, most, perStoredRow } = PIECE_BYTES
    const [stored] = await this.#parts.store.query<{ n: string }>(
      'SELECT count() AS n FROM millrace.hits WHERE kp = {kp:UInt32}',
      { params: { kp: this.#bound.kp } },
    )
    return Math.min(most, Math.max(least, Number(stored!.n) * perStoredRow))
  }

  async *#read(): AsyncGenerator<readonly StoredRecord[]> {
    const reader = this.#parts.log.reader()
    const { partition, raw, below } = this.#bound
    try {
      yield* reader.read(HITS_RAW.name, partition, raw.low, below)
    } finally {
      await reader.close()
    }
  }

  async #withRows(records: StoredRecord[]): Promise<StoredRecord[]> {
    this.#unexpected()
    await this.#compareSessions(PIECE_SESSIONS)
    const times = records.map(({ timestamp }) => timestamp)
    this.#beganAt ||= times[0]!
    for (const row of await this.#parts.store.query<Record<string, string | number | boolean>>(ROWS, {
      params: {
        kp: this.#bound.kp,
        from: records[0]!.offset,
        to: records.at(-1)!.offset,
        // A hit is at most 24 h older than its request, a spool 6 h, a day 14 h off.
        first: Math.floor(times.reduce((a, b) => Math.min(a, b)) / DAY_MS) - 4,
        last: Math.floor(times.reduce((a, b) => Math.max(a, b)) / DAY_MS) + 3,
      },
    }))
      this.#rows.set(`${row.ko}/${row.ki}`, storedHit(row))
    return records
  }

  #compareHit(hit: ExpectedHit): void {
    const { findings, rebuilt } = this.#parts
    const key = `${hit.ko}/${hit.ki}`
    const row = this.#rows.get(key)
    this.#rows.delete(key)
    findings.compared(ROW, 1)
    findings.count('raw_hits')
    if (!row) {
      if (rebuilt.mayHaveDeleted(hit.site, hit.day)) findings.count('raw_hits_deleted_by_rebuilds')
      else findings.wrong(ROW, `${place(hit)}: the log has this hit, hits has no row`)
      return
    }
    if (row.rows !== 1) findings.wrong(ROW, `${place(hit)}: ${row.rows} rows`)
    const wrong = this.#differences(hit, row)
    findings.compared(EQUAL, 1)
    if (wrong.length > 0) findings.wrong(EQUAL, `${place(hit)}, site ${row.site}: ${wrong.join('; ')}`)
    else if (hit.session > 0 && this.#sessionsCount(hit)) this.#noteSession(hit, row.session)
  }

  #differences(hit: ExpectedHit, row: StoredHit): string[] {
    const isDead = hit.verdict === 'dead'
    const pairs: [name: string, expected: unknown, stored: unknown][] = isDead
      ? [
          ['verdict', 'dead', row.verdict],
          ['verdict_reason', hit.reason, row.reason],
        ]
      : [
          ['site', hit.site, row.site],
          ['type', hit.type, row.type],
          ['hit_id', hit.hitId, row.hitId],
          ['time', hit.time, Number(row.time)],
          ['received_at', hit.receivedAt, Number(row.receivedAt)],
        ]
    if (!isDead && hit.isCertain) {
      pairs.push(['verdict', hit.verdict, row.verdict], ['late', hit.late, row.late])
      if (hit.verdict === 'keep' && this.#sessionsCount(hit))
        pairs.push(
          ['in a session', hit.session > 0, row.session !== NO_SESSION],
          ['is_bot', hit.isBot, row.botReason !== ''],
        )
    }
    return pairs
      .filter(([, expected, stored]) => expected !== stored)
      .map(([name, expected, stored]) => `${name} expected ${expected}, stored ${stored}`)
  }

  /** Sessions are compared where the rules of the site are those that it had, and what came before is known. */
  #sessionsCount({ site, isCertain }: ExpectedHit): boolean {
    if (!isCertain) return false
    if (this.#parts.changedAt(site) < this.#beganAt) return true
    this.#parts.findings.notCompared(
      `sessions of site ${site} with the recount of the log: its settings were changed while the log has hits of it`,
    )
    return false
  }

  #noteSession(hit: ExpectedHit, id: string): void {
    const { findings } = this.#parts
    const known = this.#idOf.get(hit.session)
    const other = this.#numberOf.get(id)
    if (known === undefined && other === undefined) {
      this.#idOf.set(hit.session, id)
      this.#numberOf.set(id, hit.session)
    } else if (known !== id)
      findings.wrong(
        EQUAL,
        `${place(hit)}, site ${hit.site}: session ${id} is stored, ${known ? `the hits of its visit before have ${known}` : 'which is of another visit'}`,
      )
  }

  /** Rows of the piece that no hit of the log has asked for. */
  #unexpected(): void {
    for (const [key, row] of this.#rows)
      this.#parts.findings.wrong(
        ROW,
        `hit ${this.#bound.kp}/${key}, site ${row.site}: a row that the log has no hit for`,
      )
    this.#rows.clear()
  }

  /** Compares the finished sessions when there are more than `patience`. */
  async #compareSessions(patience: number): Promise<void> {
    if (patience === 0) this.#unexpected()
    if (this.#sessions.length <= patience) return
    const finished = this.#sessions
    this.#sessions = []
    for (let at = 0; at < finished.length; at += PIECE_SESSIONS)
      await this.#comparePiece(finished.slice(at, at + PIECE_SESSIONS))
  }

  async #comparePiece(finished: readonly ExpectedSession[]): Promise<void> {
    const { store, findings, rebuilt, bounds } = this.#parts
    const expected = new Map<string, ExpectedSession>()
    for (const session of finished) {
      const id = this.#idOf.get(session.number)
      this.#idOf.delete(session.number)
      if (id === undefined) continue
      this.#numberOf.delete(id)
      if (session.isCertain && !rebuilt.mayHaveDeleted(session.site, session.day)) expected.set(id, session)
    }
    if (expected.size === 0) return
    const rows = await store.query<Record<string, string | number | boolean>>(SESSIONS(bounds.settled), {
      params: { ids: `[${[...expected.keys()].map((id) => BigInt(`0x${id}`).toString()).join(',')}]` },
    })
    const stored = new Map(rows.map((row) => [String(row.session), row]))
    for (const [id, session] of expected) {
      const row = stored.get(id)
      if (row && Number(row.later) > 0) continue
      findings.compared(SESSION, 1)
      const wrong = row ? sessionDifferences(session, row) : ['it is not stored']
      if (wrong.length > 0) findings.wrong(SESSION, `session ${id}, site ${session.site}: ${wrong.join('; ')}`)
    }
  }
}

const place = ({ kp, ko, ki }: ExpectedHit): string => `hit ${kp}/${ko}/${ki}`

/** What tells arrivals apart, in the row: those of its session as then known. */
const ARRIVAL = [
  'utm_source',
  'utm_medium',
  'utm_campaign',
  'utm_content',
  'utm_term',
  'referrer_name',
  'click_id_kind',
]

const hexOf = (column: string): string => `leftPad(lower(hex(${column})), 16, '0')`

const ROWS = `SELECT ko, ki, count() AS rows, any(toString(site)) AS site, any(toString(type)) AS type,
  any(toString(hit_id)) AS hit_id, any(toString(verdict)) AS verdict, any(toString(verdict_reason)) AS reason,
  any(h.late) AS late, any(toUnixTimestamp64Milli(h.time)) AS time, any(toUnixTimestamp64Milli(h.received_at)) AS received_at,
  any(multiIf(NOT h.is_bot, '', h.bot_reason = '', 'none', toString(h.bot_reason))) AS bot_reason, any(toString(h.hostname)) AS hostname, any(h.path) AS path, any(${hexOf('h.session_id')}) AS session,
  any(h.session_referrer) AS session_referrer, ${ARRIVAL.map((name) => `any(toString(h.${name})) AS ${name}`).join(', ')}
  FROM millrace.hits AS h WHERE kp = {kp:UInt32} AND ko BETWEEN {from:UInt64} AND {to:UInt64}
    AND day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32}) GROUP BY ko, ki`

function storedHit(row: Record<string, string | number | boolean>): StoredHit {
  const text = (name: string): string => String(row[name])
  return {
    rows: Number(row.rows),
    site: text('site'),
    type: text('type'),
    hitId: text('hit_id'),
    verdict: text('verdict'),
    reason: text('reason'),
    late: Boolean(row.late),
    time: text('time'),
    receivedAt: text('received_at'),
    botReason: text('bot_reason'),
    hostname: text('hostname'),
    path: text('path'),
    session: text('session'),
    arrival: { source: text('session_referrer'), utm: ARRIVAL.map(text) },
  }
}

/** The state that counts of each session; `later`: rows of it are from behind what is settled. */
const SESSIONS = (settled: string): string => `
  SELECT ${hexOf('id')} AS session, any(later) AS later, any(engaged_ms) AS engaged_ms, any(is_bounce) AS is_bounce,
    any(page_views) AS page_views, any(events) AS events, any(start) AS start, any(end) AS end
  FROM (
    SELECT s.session_id AS id, version, sum(sign) AS signs, max(NOT ${settled}) AS later, any(toUInt64(s.engaged_ms)) AS engaged_ms,
      any(s.is_bounce) AS is_bounce, any(toUInt64(s.page_views)) AS page_views, any(toUInt64(s.events)) AS events,
      any(toUnixTimestamp64Milli(s.start)) AS start, any(toUnixTimestamp64Milli(s.end)) AS end
    FROM millrace.sessions AS s WHERE site != '' AND s.session_id IN {ids:Array(UInt64)} GROUP BY id, version HAVING signs != 0 OR later
  ) GROUP BY id`

function sessionDifferences(session: ExpectedSession, row: Record<string, string | number | boolean>): string[] {
  const pairs: [name: string, expected: number, stored: unknown][] = [
    ['page_views', session.pageViews, row.page_views],
    ['events', session.events, row.events],
    ['start', session.start, row.start],
    ['end', session.end, row.end],
    ['engaged_ms', session.engagedMs, row.engaged_ms],
    ['is_bounce', session.isBounce ? 1 : 0, row.is_bounce],
  ]
  return pairs
    .filter(([, expected, stored]) => expected !== Number(stored))
    .map(([name, expected, stored]) => `${name} expected ${expected}, stored ${stored}`)
}
