import { type Journal, numberOfHitId } from '@millrace/bench/load'
import { recount } from '@millrace/recount'
import { openStore, type Store } from '@millrace/store'
import { compareHits } from './compare-hits.ts'
import { compareSessions } from './compare-sessions.ts'
import { compareRollups, compareWithRecount } from './compare-totals.ts'
import { type CheckReport, Findings } from './findings.ts'
import { openStoppedLog, openStoppedTopics, type StoppedLog } from './read-log.ts'

/** Where an installation is whose log still holds everything: a data folder, or Kafka and ClickHouse. */
export type Place =
  | { readonly dataDir: string }
  | { readonly brokers: readonly string[]; readonly clickhouseUrl: string }

export type CheckOptions = Place & {
  readonly zone: string
  readonly sessionTimeoutMs: number
  /** What a load generator sent and what was answered; without it only the data are compared with each other. */
  readonly journal?: Journal
  /** hit_ids that were written straight to hits.raw, beside those of the load generator: each is kept once. */
  readonly straight?: readonly string[]
}

async function open(place: Place): Promise<{ log: StoppedLog; store: Store }> {
  if ('dataDir' in place) {
    const log = await openStoppedLog(place.dataDir)
    return { log, store: await openStore({ dataDir: place.dataDir, role: 'read' }) }
  }
  const log = await openStoppedTopics(place.brokers)
  return { log, store: await openStore({ url: place.clickhouseUrl, dataDir: '', role: 'read' }) }
}

/** Compares the log, the rows, the rollups and the sessions of a stopped installation with each other and with a recount. */
export async function checkFolder(options: CheckOptions): Promise<CheckReport> {
  const findings = new Findings()
  const { log, store } = await open(options)
  try {
    const kept = new KeptHits(options.journal, options.straight ?? [])
    const comparison = compareHits(store, findings, (hitId) => kept.add(hitId))
    const settings = { ...options, epoch: log.epoch, salts: log.salts }
    const totals = await recount(log.rawPartitions(), settings, comparison.onHit)
    await comparison.finish()
    const unknownStored = kept.check(findings)
    await checkUnique(store, findings)
    await compareRollups(store, findings)
    await compareWithRecount(store, totals, findings)
    const sessions = await compareSessions(store, totals.sessions, comparison.visitors, findings)
    const rows = await log.checkChain(findings)
    findings.same('I4 the chain of hits.enriched is contiguous', 'rows of the chain', totals.rawHits, rows)
    const { keep, duplicate, dead } = totals.verdicts
    return findings.report({
      ...{ raw_hits: totals.rawHits, kept: keep, duplicates: duplicate, dead, late: totals.lateHits, sessions },
      ...(options.journal && {
        sent: options.journal.count('sent'),
        answered: options.journal.count('answered'),
        stored_without_answer: unknownStored,
      }),
    })
  } finally {
    await store.close()
    await log.close()
  }
}

/** How often each hit of the journal was kept. */
class KeptHits {
  readonly #journal: Journal | undefined
  readonly #keeps: Uint8Array
  readonly #foreign: string[] = []
  /** hit_id -> how often it was kept. */
  readonly #straight: Map<string, number>

  constructor(journal: Journal | undefined, straight: readonly string[]) {
    this.#journal = journal
    this.#straight = new Map(straight.map((hitId) => [hitId, 0]))
    this.#keeps = new Uint8Array(journal?.size ?? 0)
  }

  add(hitId: string): void {
    if (!this.#journal && this.#straight.size === 0) return
    const times = this.#straight.get(hitId)
    if (times !== undefined) {
      this.#straight.set(hitId, times + 1)
      return
    }
    const n = this.#journal ? numberOfHitId(this.#journal.seed, hitId) : -1
    if (n < 0 || n >= this.#keeps.length) this.#foreign.push(hitId)
    else this.#keeps[n]! += 1
  }

  /** Number of hits that were stored although their answer never came. */
  check(findings: Findings): number {
    const journal = this.#journal
    let unanswered = 0
    for (const hitId of this.#foreign) findings.wrong('I1 nothing is stored that was not sent', `hit_id ${hitId}`)
    for (const [hitId, times] of this.#straight) findings.same('I1 a hit is kept once', `hit_id ${hitId}`, 1, times)
    if (!journal) return 0
    findings.compared('I1 nothing is stored that was not sent', journal.size)
    findings.compared('I1 every answered hit is stored', journal.count('answered'))
    findings.compared('I1 a hit is kept once', journal.size)
    for (let n = 0; n < journal.size; n++) {
      const keeps = this.#keeps[n]!
      if (keeps > 1) findings.wrong('I1 a hit is kept once', `hit ${n} is kept ${keeps} times`)
      if (keeps === 0 && journal.was('answered', n))
        findings.wrong('I1 every answered hit is stored', `hit ${n} is not`)
      if (keeps > 0 && journal.was('refused', n)) {
        findings.wrong('I1 nothing is stored that was not sent', `hit ${n} was refused`)
      }
      if (keeps > 0 && !journal.was('answered', n)) unanswered += 1
    }
    return unanswered
  }
}

async function checkUnique(store: Store, findings: Findings): Promise<void> {
  const [rows] = await store.query<Record<'rows' | 'positions' | 'kept' | 'ids', string>>(
    `SELECT count() AS rows, uniqExact(kp, ko, ki) AS positions, countIf(verdict = 'keep') AS kept,
     uniqExactIf(hit_id, verdict = 'keep') AS ids FROM millrace.hits`,
  )
  findings.same('I2 a raw hit has one row', 'count() and uniqExact(kp, ko, ki)', rows!.positions, rows!.rows)
  findings.same('I2 a kept hit_id has one row', 'kept rows and their hit_ids', rows!.ids, rows!.kept)
  findings.compared('I2 a kept hit_id has one row', Number(rows!.kept) - 1)
}
