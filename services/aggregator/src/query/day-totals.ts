import type { ReportQuery } from './parse-query.ts'
import type { Range } from './period.ts'
import { planDays } from './planner.ts'
import type { ReportTools } from './report.ts'
import { emptyValues, type StoredRow, type Values, valuesOf } from './rows.ts'

/** What the totals of days say of a period: its rows, and all of it. */
interface OfPeriod {
  readonly stored: readonly StoredRow[]
  readonly totals: Values
}

/** What one statement says of a period and the one before. */
export interface DayTotals {
  /** Page views and events of the period, if visitors are asked. */
  readonly hits: number
  readonly now: OfPeriod
  readonly before: OfPeriod
}

/** Of so few rows a second thread, and reading some columns before the others, cost more than they save. */
const FEW_ROWS = { max_threads: 1, optimize_move_to_prewhere: 0 }

/** Asks the totals of days, of both periods at once; null if they do not tell all of it. */
export async function readDayTotals(
  query: ReportQuery,
  range: Range,
  before: Range | null,
  { store, siteZone }: ReportTools,
): Promise<DayTotals | null> {
  const statement = planDays(query, range, before, siteZone)
  if (statement === null) return null
  const found = await store.query<StoredRow>(statement.sql, { params: statement.params, settings: FEW_ROWS })
  const [now, earlier] = [false, true].map((isBefore) => found.filter((row) => Boolean(row.is_before) === isBefore))
  const { page_views, events } = totalsOf(now!, query) ?? {}
  return {
    hits: Number(page_views ?? 0) + Number(events ?? 0),
    now: ofPeriod(now!, query),
    before: ofPeriod(earlier!, query),
  }
}

const ofPeriod = (found: readonly StoredRow[], query: ReportQuery): OfPeriod => {
  const totals = totalsOf(found, query)
  return {
    stored: found.filter(({ is_total }) => !is_total),
    totals: totals ? valuesOf(totals, query.metrics) : emptyValues(query.metrics),
  }
}

/** The row of all; without dimensions it is the only one. */
const totalsOf = (found: readonly StoredRow[], { dimensions }: ReportQuery): StoredRow | undefined =>
  dimensions.length === 0 ? found[0] : found.find(({ is_total }) => is_total === 1)
