import type { StoredRecord } from '@millrace/log'
import { type ExpectedHit, type Recount, type RecountSettings, recount } from '@millrace/recount'
import { dateOfDay, type HitRow, kpOf, NO_ID, type SessionRow } from '@millrace/shared'
import { RULES, saltOf } from '../../../services/enricher/src/testing/lab.ts'
import { type AnyRow, isMarker, type ModelStore } from './model-store.ts'

const EPOCH = 1
/** Days of the traffic and around it. */
const SALTS = new Map(Array.from({ length: 60 }, (_, i) => 20_760 + i).map((day) => [dateOfDay(day), saltOf(day)]))

/** What the tables say beside what the recount says. Every difference is a sentence. */
export async function differences(
  store: ModelStore,
  raw: readonly (readonly StoredRecord[])[],
  timeoutOf: (build: string) => number,
): Promise<string[]> {
  const hits = store.tables.hits!.rows
  const { totals, expected } = await recountAs(hits, raw, timeoutOf)
  return [
    ...compareHits(hits, expected),
    ...compareSessions(store.tables.sessions!.rows, hits, expected, totals),
    ...compareTotals(store, totals),
  ]
}

/** The recount takes for each raw record the settings of whoever's rows of it count: sequentially, in one state. */
async function recountAs(
  hits: readonly HitRow[],
  raw: readonly (readonly StoredRecord[])[],
  timeoutOf: (build: string) => number,
): Promise<{ totals: Recount; expected: Map<string, ExpectedHit> }> {
  const writers = new Map(hits.map(({ kp, ko, build }) => [`${kp}/${ko}`, build]))
  let writer = ''
  const settings: RecountSettings = {
    zone: 'UTC',
    epoch: EPOCH,
    salts: SALTS,
    botReason: () => '',
    longestSessionTimeoutMs: RULES.sessionTimeoutMs,
    get sessionTimeoutMs() {
      return timeoutOf(writer)
    },
  }
  async function* oneByOne(partition: number): AsyncIterable<readonly StoredRecord[]> {
    for (const record of raw[partition]!) {
      writer = writers.get(`${kpOf(EPOCH, partition)}/${record.offset}`) ?? ''
      yield [record]
    }
  }
  const expected = new Map<string, ExpectedHit>()
  const partitions = raw.map((_, partition) => ({ partition, batches: oneByOne(partition) }))
  const totals = await recount(partitions, settings, (hit) => void expected.set(placeOf(hit), hit))
  return { totals, expected }
}

const placeOf = ({ kp, ko, ki }: { kp: number; ko: number; ki: number }): string => `${kp}/${ko}/${ki}`

function compareHits(hits: readonly HitRow[], expected: ReadonlyMap<string, ExpectedHit>): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const sessions = new Renaming()
  for (const row of hits) {
    const place = placeOf(row)
    if (seen.has(place)) found.push(`hit ${place} is there twice`)
    seen.add(place)
    const hit = expected.get(place)
    if (hit === undefined) {
      found.push(`hit ${place} is none of the log's`)
      continue
    }
    const asStored = [row.verdict, row.late, row.time, row.received_at, row.visitor_id, row.session_id !== NO_ID]
    const visitor = hit.verdict === 'dead' ? NO_ID : hit.visitor
    const asCounted = [hit.verdict, hit.late, hit.time, hit.receivedAt, visitor, hit.session > 0]
    if (`${asStored}` !== `${asCounted}`) found.push(`hit ${place} is ${asStored}, recounted ${asCounted}`)
    if (!sessions.agrees(row.session_id, String(hit.session))) found.push(`hit ${place} is in another session`)
  }
  for (const place of expected.keys()) if (!seen.has(place)) found.push(`hit ${place} is missing`)
  return found
}

/** Whether two sets of names are the same up to renaming. */
class Renaming {
  readonly #there = new Map<string, string>()
  readonly #back = new Map<string, string>()
  agrees(a: string, b: string): boolean {
    if (!this.#there.has(a) && !this.#back.has(b)) {
      this.#there.set(a, b)
      this.#back.set(b, a)
    }
    return this.#there.get(a) === b && this.#back.get(b) === a
  }
}

function compareSessions(
  rows: readonly SessionRow[],
  hits: readonly HitRow[],
  expected: ReadonlyMap<string, ExpectedHit>,
  { sessions }: Recount,
): string[] {
  const live = new Map<string, { row: SessionRow; sum: number }>()
  for (const row of rows.filter((row) => row.site !== '')) {
    const key = `${row.session_id}/${row.version}`
    const known = live.get(key)
    if (known) known.sum += row.sign
    else live.set(key, { row, sum: row.sign })
  }
  const numbers = new Map(hits.map((row) => [row.session_id, expected.get(placeOf(row))?.session ?? -1]))
  const found = [...live]
    .filter(([, { sum }]) => sum !== 0 && sum !== 1)
    .map(([key, { sum }]) => `session ${key} counts ${sum}`)
  const stored = [...live.values()].filter(({ sum }) => sum === 1).map(({ row }) => row)
  const asStored = stored.map((s) =>
    [
      numbers.get(s.session_id),
      s.visitor_id,
      s.day,
      s.start,
      s.end,
      s.duration_ms,
      s.page_views,
      s.events,
      s.is_bounce,
      s.engaged_ms,
      s.entry_path,
      s.exit_path,
    ].join(),
  )
  const asCounted = sessions.map((s) =>
    [
      s.number,
      s.visitor,
      s.day,
      s.start,
      s.end,
      s.end - s.start,
      s.pageViews,
      s.events,
      s.isBounce ? 1 : 0,
      s.engagedMs,
      s.entryPath,
      s.exitPath,
    ].join(),
  )
  return [...found, ...compareLists('session', asStored, asCounted)]
}

function compareTotals({ tables }: ModelStore, totals: Recount): string[] {
  const hits = rowsOf(tables.daily_hits!.rows).filter((row) => row.verdict === 'keep' && row.type !== 'engagement')
  const pages = rowsOf(tables.daily_pages!.rows).filter((row) => row.verdict === 'keep' && row.type === 'page_view')
  const sessions = rowsOf(tables.daily_sessions!.rows)
  const day = (row: AnyRow): string => `${row.site}\t${dateOfDay(row.day)}\t${row.is_bot ? 1 : 0}`
  const sum = (rows: readonly AnyRow[], of: (row: AnyRow) => number): number => rows.reduce((n, row) => n + of(row), 0)
  const grouped = (
    rows: readonly AnyRow[],
    key: (row: AnyRow) => string,
    line: (rows: AnyRow[]) => string,
  ): string[] => {
    const groups = new Map<string, AnyRow[]>()
    for (const row of rows) groups.set(key(row), [...(groups.get(key(row)) ?? []), row])
    return [...groups].map(([name, of]) => `${name}\t${line(of)}`)
  }
  return [
    ...compareLists(
      'daily_hits',
      grouped(hits, day, (of) => {
        const views = of.filter(({ type }) => type === 'page_view').length
        return [views, of.length - views, new Set(of.map((row) => row.visitor_id)).size].join()
      }),
      [...totals.dailyHits].map(([key, d]) => `${key}\t${[d.pageViews, d.events, d.visitors.size].join()}`),
    ),
    ...compareLists(
      'daily_pages',
      grouped(
        pages,
        (row) => `${day(row)}\t${row.hostname}\t${row.path}`,
        (of) => String(of.length),
      ),
      [...totals.dailyPages].map(([key, views]) => `${key}\t${views}`),
    ),
    ...compareLists(
      'daily_sessions',
      grouped(sessions, day, (of) =>
        [
          sum(of, (row) => row.sign),
          sum(of, (row) => row.sign * row.is_bounce),
          sum(of, (row) => row.sign * row.duration_ms),
          sum(of, (row) => row.sign * row.page_views),
        ].join(),
      ).filter((line) => !line.endsWith('\t0,0,0,0')),
      [...totals.dailySessions].map(
        ([key, d]) => `${key}\t${[d.sessions, d.bounces, d.durationMs, d.pageViews].join()}`,
      ),
    ),
  ]
}

const rowsOf = (rows: readonly AnyRow[]): AnyRow[] => rows.filter((row) => !isMarker(row))

function compareLists(what: string, stored: readonly string[], counted: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const line of counted) left.set(line, (left.get(line) ?? 0) + 1)
  const found: string[] = []
  for (const line of stored) {
    const n = left.get(line) ?? 0
    if (n === 0) found.push(`${what}: ${line} is not in the recount`)
    else left.set(line, n - 1)
  }
  for (const [line, n] of left) if (n > 0) found.push(`${what}: ${line} is recounted and not there`)
  return found
}
