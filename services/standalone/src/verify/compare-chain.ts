/** hits.enriched against itself, the rows and the watermarks. */
import { type EventLog, PositionLost, type StoredRecord } from '@millrace/log'
import { decodeEnriched, HITS_ENRICHED, readBlocks } from '@millrace/shared'
import type { Store, Target } from '@millrace/store'
import type { PartitionBound } from './bounds.ts'
import type { Findings } from './findings.ts'
import type { Rebuilt } from './rebuilt.ts'

const CHAIN = 'I4 the chain of hits.enriched is contiguous'
const ROWS = 'I2 a raw hit has one row'
const PRESENT = 'I6 nothing below the plan is missing'
const COLUMNS = new Set(['ko', 'site', 'day'])
/** Rows that are compared by one query. */
const PIECE_ROWS = 200_000

/** What an accepted record says of itself. */
interface Link {
  readonly offset: number
  readonly prev: number
  readonly srcFrom: number
  readonly srcTo: number
  readonly months: readonly number[]
  readonly sessionMonths: readonly number[]
}

/** Rows that accepted records say there are, by raw offset. */
interface ExpectedRows {
  readonly byOffset: Map<number, number>
  /** Rows that a rebuild may have deleted since. */
  readonly mayBeGone: Set<number>
  rows: number
  /** Days of the rows, as they were written. */
  firstDay: number
  lastDay: number
}

const noRows = (): ExpectedRows => ({
  byOffset: new Map(),
  mayBeGone: new Set(),
  rows: 0,
  firstDay: Number.POSITIVE_INFINITY,
  lastDay: 0,
})

/** Where the marks of each target stand, by `kp/month`. */
export type Marks = ReadonlyMap<string, { readonly source: Target['source']; readonly at: ReadonlyMap<string, number> }>

export interface ChainParts {
  readonly log: EventLog
  readonly store: Pick<Store, 'query'>
  readonly findings: Findings
  readonly rebuilt: Rebuilt
  /** Whether an operator has accepted that raw offsets [from, to) are missing. */
  readonly accepted: (partition: number, from: number, to: number) => boolean
}

/** Follows the chain of a partition from its oldest record to what is inserted. */
export async function compareChain(parts: ChainParts, bound: PartitionBound, marks: Marks): Promise<void> {
  const { findings } = parts
  const where = `partition ${bound.partition}`
  if (bound.head < 0) return
  const expired = (): void =>
    findings.notCompared(`${where}: hits.enriched, whose counted records are gone by its retention`)
  if (bound.head < bound.enriched.low) return expired()
  if (bound.enriched.low > 0)
    findings.notCompared(`${where}: offsets of hits.enriched below ${bound.enriched.low}, gone by its retention`)
  const chain = await acceptedChain(parts.log, bound)
  const last = chain.at(-1)
  if (!last) {
    // Retention may have gone on since the bounds were read.
    if (bound.head < (await lowOf(parts.log, bound.partition))) return expired()
    findings.wrong(CHAIN, `${where}: offset ${bound.head} of hits.enriched was committed and cannot be read`)
    return
  }
  findings.same(CHAIN, `${where}: end of the counted raw offsets`, last.srcTo + 1, bound.below)
  chain.reduce((before, link) => {
    findings.compared(CHAIN, 1)
    const isNext = link.srcFrom === before.srcTo + 1 || parts.accepted(bound.partition, before.srcTo + 1, link.srcFrom)
    if (!isNext)
      findings.wrong(
        CHAIN,
        `${where}: the record at ${link.offset} begins at raw offset ${link.srcFrom}, the one before (${before.offset}) ends at ${before.srcTo}`,
      )
    return link
  })
  if (bound.enriched.low === 0 && bound.raw.low === 0)
    findings.same(CHAIN, `${where}: first raw offset`, 0, chain[0]!.srcFrom)
  await compareRows(parts, bound, new Set(chain.map(({ offset }) => offset)))
  compareMarks(parts.findings, bound, chain, marks)
}

async function lowOf(log: EventLog, partition: number): Promise<number> {
  const admin = log.admin()
  try {
    return (await admin.lowOffsets(HITS_ENRICHED.name)).get(partition) ?? 0
  } finally {
    await admin.close()
  }
}

/** The accepted records, found backwards from the one that was committed: each names the one before it. */
async function acceptedChain(log: EventLog, bound: PartitionBound): Promise<Link[]> {
  const links = new Map<number, Link>()
  for await (const stored of enriched(log, bound)) {
    const link = linkOf(stored)
    if (link) links.set(link.offset, link)
  }
  const chain: Link[] = []
  for (let link = links.get(bound.head); link; link = links.get(link.prev)) chain.push(link)
  return chain.reverse()
}

async function* enriched(log: EventLog, { partition, head, enriched: { low } }: PartitionBound) {
  const reader = log.reader()
  try {
    for await (const batch of reader.read(HITS_ENRICHED.name, partition, low, head + 1)) yield* batch
  } catch (error) {
    // Retention went on meanwhile.
    if (!(error instanceof PositionLost)) throw error
  } finally {
    await reader.close()
  }
}

function linkOf(stored: StoredRecord): Link | null {
  try {
    const { prev, srcFrom, srcTo, hitRows, sessionRows } = decodeEnriched(stored)
    const months = (rows: object): number[] => Object.keys(rows).map(Number)
    return {
      offset: stored.offset,
      ...{ prev, srcFrom, srcTo },
      ...{ months: months(hitRows), sessionMonths: months(sessionRows) },
    }
  } catch {
    return null
  }
}

/** Each row of the accepted records is in `hits`, once. */
async function compareRows(parts: ChainParts, bound: PartitionBound, accepted: ReadonlySet<number>): Promise<void> {
  let piece = noRows()
  for await (const stored of enriched(parts.log, bound)) {
    if (!accepted.has(stored.offset)) continue
    expectRows(stored, piece, parts.rebuilt)
    if (piece.rows < PIECE_ROWS) continue
    await comparePiece(parts, bound, piece)
    piece = noRows()
  }
  await comparePiece(parts, bound, piece)
}

function expectRows(stored: StoredRecord, piece: ExpectedRows, rebuilt: Rebuilt): void {
  for (const { rows, columns } of readBlocks(stored.value!, COLUMNS)) {
    const [offsets, sites, days] = ['ko', 'site', 'day'].map((name) => columns.get(name)!)
    for (let row = 0; row < rows; row++) {
      const ko = Number(BigInt(`0x${offsets![row] as string}`))
      const day = days![row] as number
      piece.firstDay = Math.min(piece.firstDay, day)
      piece.lastDay = Math.max(piece.lastDay, day)
      piece.byOffset.set(ko, (piece.byOffset.get(ko) ?? 0) + 1)
      if (rebuilt.mayHaveDeleted(sites![row] as string, day)) piece.mayBeGone.add(ko)
    }
    piece.rows += rows
  }
}

async function comparePiece(
  { store, findings }: ChainParts,
  { kp }: PartitionBound,
  piece: ExpectedRows,
): Promise<void> {
  if (piece.rows === 0) return
  const offsets = [...piece.byOffset.keys()]
  const [from, to] = offsets.reduce(([low, high], ko) => [Math.min(low, ko), Math.max(high, ko)], [Infinity, -1])
  const stored = new Map<number, { n: number; indexes: number }>()
  const rows = await store.query<{ ko: string; n: string; indexes: string }>(
    `SELECT ko, count() AS n, uniqExact(ki) AS indexes FROM millrace.hits
     WHERE kp = {kp:UInt32} AND ko BETWEEN {from:UInt64} AND {to:UInt64}
       AND day BETWEEN toDate({first:UInt32}) AND toDate({last:UInt32}) GROUP BY ko`,
    // A rebuild may have given rows the day before or after.
    { params: { kp, from, to, first: Math.max(0, piece.firstDay - 2), last: piece.lastDay + 2 } },
  )
  for (const { ko, n, indexes } of rows) stored.set(Number(ko), { n: Number(n), indexes: Number(indexes) })
  findings.compared(ROWS, piece.rows)
  findings.count('rows_of_the_chain', piece.rows)
  for (const [ko, expected] of piece.byOffset) {
    const { n, indexes } = stored.get(ko) ?? { n: 0, indexes: 0 }
    stored.delete(ko)
    if (n === expected && indexes === expected) continue
    if (n === indexes && n < expected && piece.mayBeGone.has(ko))
      findings.count('rows_deleted_by_rebuilds', expected - n)
    else findings.wrong(ROWS, `hits, kp ${kp}, raw offset ${ko}: ${expected} hits, ${n} rows with ${indexes} indexes`)
  }
  for (const [ko, { n }] of stored)
    findings.wrong(ROWS, `hits, kp ${kp}, raw offset ${ko}: ${n} rows, of which the log has no accepted record`)
}

/** Every target has taken the last record that filled each of its months. */
function compareMarks(findings: Findings, { kp }: PartitionBound, chain: readonly Link[], marks: Marks): void {
  for (const [target, { source, at }] of marks) {
    const last = new Map<number, number>()
    for (const link of chain)
      for (const month of source === 'sessions_in' ? link.sessionMonths : link.months) last.set(month, link.srcTo)
    for (const [month, srcTo] of last) {
      findings.compared(PRESENT, 1)
      const mark = at.get(`${kp}/${month}`) ?? -1
      if (mark < srcTo)
        findings.wrong(
          PRESENT,
          `${target}, kp ${kp}, month ${month}: marked up to raw offset ${mark}, the log fills it up to ${srcTo}`,
        )
    }
  }
}
