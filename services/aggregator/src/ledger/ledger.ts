import type { Verdict } from '@millrace/shared'
import type { Store } from '@millrace/store'

/** What became of the hits of one hour. */
export interface LedgerRow {
  readonly hour: string
  readonly verdict: Exclude<Verdict, 'marker'>
  /** Of a bot's hit that was kept: why it is taken for one; of others, why they were not kept; else ''. */
  readonly reason: string
  readonly is_bot: boolean
  readonly hits: number
}

export interface LedgerTotals {
  /** All that came in: the sum of the others but `bots`, which are kept too. */
  readonly hits: number
  readonly kept: number
  readonly bots: number
  readonly duplicate: number
  readonly dead: number
}

export interface LedgerQuery {
  /** Empty = all. */
  readonly sites: readonly string[]
  /** Of `received_at`, whole hours, half-open; epoch ms. */
  readonly fromMs: number
  readonly toMs: number
}

/** What became of every raw hit, by hour of receipt, verdict and reason. */
export async function readLedger(store: Pick<Store, 'query'>, query: LedgerQuery): Promise<LedgerRow[]> {
  const rows = await store.query<Omit<LedgerRow, 'hits'> & { hits: string }>(
    `SELECT formatDateTime(toStartOfHour(received_at), '%Y-%m-%dT%H:00:00.000Z', 'UTC') AS hour, verdict,
  verdict = 'keep' AND is_bot AS is_bot, if(verdict = 'keep', bot_reason, verdict_reason) AS reason, count() AS hits
FROM millrace.hits
WHERE received_at >= fromUnixTimestamp64Milli({from:Int64}) AND received_at < fromUnixTimestamp64Milli({to:Int64})
  AND (empty({sites:Array(String)}) OR has({sites:Array(String)}, site))
GROUP BY hour, verdict, is_bot, reason
ORDER BY hour, verdict, is_bot, reason`,
    { params: { from: query.fromMs, to: query.toMs, sites: query.sites }, current: 'hits' },
  )
  return rows.map(({ hour, verdict, reason, is_bot, hits }) => ({
    ...{ hour, verdict, reason, is_bot: Boolean(is_bot), hits: Number(hits) },
  }))
}

/** The sums of a ledger. */
export function totalsOf(rows: readonly LedgerRow[]): LedgerTotals {
  const sum = (which: (row: LedgerRow) => boolean): number =>
    rows.reduce((n, row) => (which(row) ? n + row.hits : n), 0)
  return {
    hits: sum(() => true),
    kept: sum(({ verdict }) => verdict === 'keep'),
    bots: sum(({ is_bot }) => is_bot),
    duplicate: sum(({ verdict }) => verdict === 'duplicate'),
    dead: sum(({ verdict }) => verdict === 'dead'),
  }
}
