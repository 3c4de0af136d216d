import type { LocalDays } from '@millrace/shared'
import type { Bucket, WeekStart } from './buckets.ts'
import type { Dimension } from './dimensions.ts'
import type { Filter } from './filter.ts'
import type { Goal } from './goals.ts'
import type { MetricName } from './metrics.ts'
import type { Range } from './period.ts'

/** What the SQL of one source is made from: a query whose period is known, without how its rows are shown. */
export interface Question {
  readonly site: string
  readonly metrics: readonly MetricName[]
  readonly dimensions: readonly Dimension[]
  readonly range: Range
  readonly zone: LocalDays
  /** The period is whole days of the site's own zone: the column `day` tells all of it. */
  readonly byDay: boolean
  /** Buckets of the dimension that cuts time, if there is one. */
  readonly buckets: readonly Bucket[]
  readonly filter: Filter | null
  readonly includeBots: boolean
  /** What counts as a conversion; none if no metric asks. */
  readonly goals: readonly Goal[]
  readonly weekStart: WeekStart
  /** Zone of the column `day`. */
  readonly siteZone: string
  /** First day that the site still keeps; null = it keeps all. Older rows that wait for their deletion are not shown. */
  readonly keptFrom: number | null
  /** The totals come as one more row, with `is_total` = 1: of one dimension, from the totals of days. */
  readonly rolledUp?: boolean
  /** Whole days before the period that are asked for, too: their rows have `is_before` = 1. From the totals of days. */
  readonly before?: NonNullable<Range['days']>
  /** Of these paths distinct visitors and sessions are counted, of all others their hits: see countsFew. */
  readonly likely?: readonly string[]
}

/** Alias of a dimension in every SELECT. Columns keep their names to themselves: an alias would hide them. */
export const alias = (index: number): string => `d${index}`
