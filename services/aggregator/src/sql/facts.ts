import type { Server } from '@millrace/server'
import { Counter, Histogram } from 'prom-client'

/** What became of a statement. */
const SQL_OUTCOMES = ['answered', 'refused', 'failed', 'limited', 'busy', 'gone', 'unavailable'] as const
export type SqlOutcome = (typeof SQL_OUTCOMES)[number]

/** What the SQL console tells operators; never a statement. */
export interface SqlFacts {
  ended(outcome: SqlOutcome, seconds: number): void
  storeFailed(error: Error): void
}

export function sqlFacts({ registry, logger }: Pick<Server, 'registry' | 'logger'>): SqlFacts {
  const statements = new Counter({
    name: 'millrace_aggregator_sql_statements_total',
    help: `SQL statements, by what became of them (${SQL_OUTCOMES.join(', ')})`,
    labelNames: ['outcome'],
    registers: [registry],
  })
  const seconds = new Histogram({
    name: 'millrace_aggregator_sql_seconds',
    help: 'Time to answer an SQL statement, waiting for its turn included',
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30, 60],
    registers: [registry],
  })
  for (const outcome of SQL_OUTCOMES) statements.inc({ outcome }, 0)
  return {
    ended(outcome, duration) {
      statements.inc({ outcome })
      seconds.observe(duration)
    },
    storeFailed: (error) => logger.error({ err: error }, 'the store could not answer an SQL statement'),
  }
}
