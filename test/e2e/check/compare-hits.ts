import type { ExpectedHit } from '@millrace/recount'
import type { Store } from '@millrace/store'
import type { Findings } from './findings.ts'
import { Renaming } from './renaming.ts'

/** A row of `hits` as the comparison reads it. Integers of 64 bits are text. */
interface StoredHit {
  kp: number
  ko: string
  ki: number
  site: string
  type: string
  hit_id: string
  verdict: string
  verdict_reason: string
  late: boolean
  time: string
  received_at: string
  day: number
  is_bot: boolean
  hostname: string
  path: string
  visitor: string
  session: string
}

const SELECT = `SELECT kp, ko, ki, toString(site) AS site, toString(type) AS type, toString(hit_id) AS hit_id,
  toString(verdict) AS verdict, toString(verdict_reason) AS verdict_reason, late,
  toUnixTimestamp64Milli(time) AS time, toUnixTimestamp64Milli(received_at) AS received_at, toUInt32(day) AS day,
  is_bot, toString(hostname) AS hostname, path, leftPad(lower(hex(visitor_id)), 16, '0') AS visitor, leftPad(lower(hex(session_id)), 16, '0') AS session
  FROM millrace.hits WHERE kp = {kp:UInt32} AND ko >= {from:UInt64} AND ko < {to:UInt64} ORDER BY ko, ki`
/** Each piece reads the offsets of all rows once. */
const ROWS_AT_ONCE = 200_000
const NO_SESSION = '0000000000000000'

/** Rows of `hits` of one partition, in the order of the log, read in pieces. */
async function* rowsOf(store: Store, kp: number): AsyncGenerator<StoredHit> {
  const [range] = await store.query<{ rows: string; low: string; high: string }>(
    'SELECT count() AS rows, min(ko) AS low, max(ko) AS high FROM millrace.hits WHERE kp = {kp:UInt32}',
    { params: { kp } },
  )
  const low = Number(range!.low)
  const offsets = Number(range!.high) + 1 - low
  if (Number(range!.rows) === 0) return
  const step = Math.max(1, Math.ceil(offsets / Math.ceil(Number(range!.rows) / ROWS_AT_ONCE)))
  for (let from = low; from < low + offsets; from += step) {
    yield* await store.query<StoredHit>(SELECT, { params: { kp, from, to: from + step } })
  }
}

export interface HitComparison {
  /** Told of each hit that the recount expects, in the order of the log. */
  readonly onHit: (hit: ExpectedHit) => Promise<void>
  /** To be called at the end. */
  readonly finish: () => Promise<void>
  /** Names of visitors in the recount and in the store. */
  readonly visitors: Renaming
  readonly sessions: Renaming
}

/** Compares the stored rows with the expected hits, one by one; `onKept` is told of each kept row's hit_id. */
export function compareHits(store: Store, findings: Findings, onKept: (hitId: string) => void): HitComparison {
  const equal = 'I5 hits equal the independent recount'
  const visitors = new Renaming('visitor', (example) => findings.wrong(equal, example))
  const sessions = new Renaming('session', (example) => findings.wrong(equal, example))
  let kp = -1
  let rows: AsyncGenerator<StoredHit> | undefined
  let next: StoredHit | undefined
  const advance = async (): Promise<void> => {
    next = (await rows?.next())?.value as StoredHit | undefined
    if (next?.verdict === 'keep') onKept(next.hit_id)
  }
  const unexpected = async (): Promise<void> => {
    findings.wrong('I2 a raw hit has one row', `${place(next!)}: a row that the log does not have, or one too many`)
    await advance()
  }
  const finish = async (): Promise<void> => {
    while (next) await unexpected()
  }
  const onHit = async (hit: ExpectedHit): Promise<void> => {
    if (hit.kp !== kp) {
      await finish()
      kp = hit.kp
      rows = rowsOf(store, kp)
      await advance()
    }
    while (next && isBefore(next, hit)) await unexpected()
    findings.compared('I2 a raw hit has one row', 1)
    if (!next || Number(next.ko) !== hit.ko || next.ki !== hit.ki) {
      findings.wrong('I2 a raw hit has one row', `${place(hit)}: no row`)
      return
    }
    findings.compared(equal, 1)
    const differences = differencesOf(hit, next)
    if (differences.length > 0) findings.wrong(equal, `${place(hit)} (${hit.type}): ${differences.join('; ')}`)
    else if (hit.verdict === 'keep') {
      visitors.note(hit.visitor, next.visitor, place(hit))
      if (hit.session > 0) sessions.note(String(hit.session), next.session, place(hit))
    }
    await advance()
  }
  return { onHit, finish, visitors, sessions }
}

const place = ({ kp, ko, ki }: { kp: number; ko: number | string; ki: number }): string => `hit ${kp}/${ko}/${ki}`
const isBefore = (row: StoredHit, hit: ExpectedHit): boolean =>
  Number(row.ko) < hit.ko || (Number(row.ko) === hit.ko && row.ki < hit.ki)

function differencesOf(hit: ExpectedHit, row: StoredHit): string[] {
  const pairs: [name: string, expected: unknown, stored: unknown][] = [['verdict', hit.verdict, row.verdict]]
  if (hit.verdict === 'dead') pairs.push(['verdict_reason', hit.reason, row.verdict_reason])
  if (hit.verdict !== 'dead') {
    pairs.push(
      ['site', hit.site, row.site],
      ['type', hit.type, row.type],
      ['hit_id', hit.hitId, row.hit_id],
      ['late', hit.late, row.late],
      ['time', hit.time, Number(row.time)],
      ['received_at', hit.receivedAt, Number(row.received_at)],
      ['day', hit.day, row.day],
      ['is_bot', hit.isBot, row.is_bot],
      ['hostname', hit.hostname, row.hostname],
      ['path', hit.path, row.path],
    )
  }
  if (hit.verdict === 'keep') pairs.push(['in a session', hit.session > 0, row.session !== NO_SESSION])
  return pairs
    .filter(([, expected, stored]) => expected !== stored)
    .map(([name, expected, stored]) => `${name} expected ${expected}, stored ${stored}`)
}
