import { type HitRow, monthOfDay, readBlocks, type SessionRow } from '@millrace/shared'
import type { BlockInsert, Slice, Target } from '@millrace/store'
import type { Evidence } from '../../../services/aggregator/src/writer/evidence.ts'
import type { Tools } from '../../../services/aggregator/src/writer/tools.ts'
import type { Machine, Weather } from './machine.ts'

/** Faults of the store that the product relies on not to have; the model must notice them. */
export interface StoreFlaws {
  /** Tables take what comes after its deadline. */
  readonly deadlinesIgnored?: boolean
}

/** What the check after doubt sees; the product's own check sees what is there. */
export type Check = 'as_it_is' | 'nothing_is_there' | 'all_is_there'

export type AnyRow = HitRow & SessionRow

/** A table that a view fills: every row as often as it was put in. */
class Table {
  readonly source: BlockInsert['table']
  readonly rows: AnyRow[] = []
  constructor(source: BlockInsert['table']) {
    this.source = source
  }
}

interface Running {
  readonly logComment: string
  readonly parts: (() => void)[]
  killed: boolean
}

/** Longest time that a request may be under way after its sender has given up, ms: past the writer's deadline. */
const STUCK_MS = 6_000

/** ClickHouse as far as a writer can tell: parts are there as a whole or not at all, and inserts outlive their clients. */
export class ModelStore {
  readonly weather: Weather
  readonly #flaws: StoreFlaws
  readonly #running = new Set<Running>()
  readonly tables: Readonly<Record<string, Table>> = {
    hits: new Table('hits_in'),
    daily_hits: new Table('hits_in'),
    daily_pages: new Table('hits_in'),
    sessions: new Table('sessions_in'),
    daily_sessions: new Table('sessions_in'),
  }
  readonly told = { inserts: 0, repairs: 0, late: 0, stuck: 0, cut: 0, killed: 0 }

  constructor(weather: Weather, flaws: StoreFlaws = {}) {
    this.weather = weather
    this.#flaws = flaws
  }

  /** The store's clock is its own. */
  get #nowMs(): number {
    return Math.floor(this.weather.time.now) + 1_234_567
  }

  /** The store as a machine reaches it. */
  reach(machine: Machine): Tools['store'] {
    const all = (table: string): string[] => Object.keys(this.tables).filter((n) => this.tables[n]!.source === table)
    return {
      insert: (insert) => {
        this.told.inserts++
        return this.#send(machine, insert, all(insert.table), () => true)
      },
      insertMissing: (target, insert, slices) => {
        this.told.repairs++
        const wanted = new Set(slices.map(keyOf))
        return this.#send(machine, insert, [target.name], (slice) => wanted.has(keyOf(slice)))
      },
      targets: () =>
        machine.ask('the list of targets', () =>
          Object.entries(this.tables).map(([name, { source }]): Target => ({ name, source, select: '', columns: [] })),
        ),
      nowMs: () => machine.ask("the store's clock", () => this.#nowMs),
      killInserts: (prefix) => machine.ask('a kill', () => this.#kill(prefix)),
    }
  }

  /** Whether something is still being carried out. */
  get busy(): boolean {
    return this.#running.size > 0
  }

  async #send(
    machine: Machine,
    insert: BlockInsert,
    targets: readonly string[],
    wanted: (slice: Slice) => boolean,
  ): Promise<void> {
    const arrive = (): Promise<void> => this.#carryOut(insert, targets, wanted)
    await machine.message()
    if (this.weather.strikes(0.05)) {
      this.told.stuck++
      this.weather.time.after(this.weather.random() * STUCK_MS, () => void arrive().catch(() => undefined))
      throw new Error('planted: no answer, and the request is still under way')
    }
    const done = arrive()
    if (this.weather.strikes(0.05)) {
      this.told.cut++
      done.catch(() => undefined)
      throw new Error('planted: the connection was cut, the insert goes on')
    }
    await done
    await machine.message()
  }

  /** At the server. The deadline is looked at once, at the beginning, as a CHECK with now() does. */
  async #carryOut(insert: BlockInsert, targets: readonly string[], wanted: (slice: Slice) => boolean): Promise<void> {
    const deadline = Number(/deadline=(\d+)/.exec(insert.logComment)![1])
    if (this.#nowMs > deadline) {
      this.told.late++
      if (!this.#flaws.deadlinesIgnored) throw new Error('refused: after its deadline')
    }
    const parts = shuffled(
      targets.flatMap((target) => this.#partsOf(target, insert, wanted)),
      this.weather,
    )
    const running: Running = { logComment: insert.logComment, parts, killed: false }
    this.#running.add(running)
    try {
      for (let part = parts.shift(); part !== undefined; part = parts.shift()) {
        await this.weather.time.sleep(this.weather.latency())
        if (running.killed) throw new Error('killed')
        if (this.weather.strikes(0.01)) throw new Error('planted: a view failed')
        part()
      }
    } finally {
      this.#running.delete(running)
    }
  }

  #kill(prefix: string): void {
    for (const running of this.#running) {
      if (!running.logComment.startsWith(prefix)) continue
      this.told.killed++
      running.killed = true
    }
  }

  #partsOf(target: string, insert: BlockInsert, wanted: (slice: Slice) => boolean): (() => void)[] {
    const table = this.tables[target]!
    const byMonth = new Map<number, AnyRow[]>()
    for (const row of insert.blocks.flatMap(rowsOf)) {
      const month = monthOfDay(row.day)
      if (!wanted({ kp: row.kp, month }) || (target === 'hits' && isMarker(row))) continue
      byMonth.set(month, [...(byMonth.get(month) ?? []), row])
    }
    return [...byMonth.values()].map((rows) => () => void table.rows.push(...rows))
  }

  /** The writer's evidence, read from these tables. */
  evidence(machine: Machine, check: Check): Evidence {
    const largest = (rows: readonly AnyRow[]): Map<string, number> => {
      const marks = new Map<string, number>()
      for (const row of rows) {
        const key = keyOf({ kp: row.kp, month: monthOfDay(row.day) })
        marks.set(key, Math.max(marks.get(key) ?? -1, row.ko))
      }
      return marks
    }
    const seen = (marks: () => Map<string, number>): Promise<Map<string, number>> =>
      machine.ask('a look at the tables', () => (check === 'as_it_is' ? marks() : new Map()))
    const blindTo = { as_it_is: null, nothing_is_there: new Map(), all_is_there: new AllThere() }[check]
    return {
      watermarks: async (name) => blindTo ?? seen(() => largest(this.tables[name]!.rows.filter(isMarker))),
      liveMarkers: async () => blindTo ?? seen(() => largest(liveMarkers(this.tables.sessions!.rows))),
      hitCounts: async (slices) => {
        if (check === 'nothing_is_there') return new Map()
        if (check === 'all_is_there') return new Map(slices.map((slice) => [keyOf(slice), slice.rows]))
        return seen(() => {
          const { rows } = this.tables.hits!
          const count = (s: (typeof slices)[number]): number =>
            rows.filter(
              ({ kp, ko, day }) => kp === s.kp && monthOfDay(day) === s.month && ko >= s.koFrom && ko <= s.koTo,
            ).length
          return new Map(slices.map((slice) => [keyOf(slice), count(slice)]))
        })
      },
      largestHits: () => seen(() => largest(this.tables.hits!.rows)),
    }
  }
}

/** Marks that say of everything that it is there, and of no partition that it is ahead. */
class AllThere extends Map<string, number> {
  override get(): number {
    return Number.MAX_SAFE_INTEGER
  }
}

/** What the views and the comparison ask for: to read all columns is the most expensive part of a schedule. */
const COLUMNS = new Set(
  `kp ko ki day verdict site type sign is_bot hostname path late time received_at visitor_id session_id build version
   start end duration_ms page_views events is_bounce engaged_ms entry_path exit_path`.split(/\s+/),
)

/** Markers say few different things: those of one schedule come again in the next. */
const SHORT = 8_192
const MOST_KNOWN = 4_096
const known = new Map<string, readonly AnyRow[]>()
const read = new WeakMap<Buffer, readonly AnyRow[]>()

/** The rows of a block; the same bytes come again in every repair. */
function rowsOf(block: Buffer): readonly AnyRow[] {
  let rows = read.get(block)
  if (rows === undefined) {
    const text = block.length < SHORT ? block.toString('latin1') : null
    rows = (text === null ? undefined : known.get(text)) ?? readModelRows(block)
    if (text !== null && known.size < MOST_KNOWN) known.set(text, rows)
    read.set(block, rows)
  }
  return rows
}

function readModelRows(block: Buffer): AnyRow[] {
  return readBlocks(block, COLUMNS).flatMap(({ rows, columns }) => {
    const lists = [...columns]
    return Array.from({ length: rows }, (_, at) => {
      const row: Record<string, unknown> = {}
      for (const [name, values] of lists) row[name] = values[at]
      row.ko = Number.parseInt(row.ko as string, 16)
      return row as unknown as AnyRow
    })
  })
}

const keyOf = ({ kp, month }: Slice): string => `${kp}/${month}`

/** Rows of the writer's own. */
export const isMarker = (row: AnyRow): boolean =>
  Object.hasOwn(row, 'verdict') ? row.verdict === 'marker' : row.site === ''

function liveMarkers(rows: readonly AnyRow[]): AnyRow[] {
  const live = new Map<string, { row: AnyRow; sum: number }>()
  for (const row of rows.filter(isMarker)) {
    const key = `${row.kp} ${row.day} ${row.ko}`
    const known = live.get(key)
    if (known) known.sum += row.sign
    else live.set(key, { row, sum: row.sign })
  }
  return [...live.values()].filter(({ sum }) => sum > 0).map(({ row }) => row)
}

function shuffled<T>(items: T[], weather: Weather): T[] {
  for (let i = items.length - 1; i > 0; i--) {
    const j = weather.pick(i + 1)
    const swapped = items[i]!
    items[i] = items[j]!
    items[j] = swapped
  }
  return items
}
