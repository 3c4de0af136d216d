import type { Server } from '@millrace/server'
import { Histogram } from 'prom-client'
import { SOURCES, type Source } from './source.ts'

/** What the query API tells operators. The only file here that knows logger and metrics. */
export interface QueryFacts {
  answered(source: Source | 'report', seconds: number): void
  storeFailed(error: Error): void
}

export function queryFacts({ registry, logger }: Pick<Server, 'registry' | 'logger'>): QueryFacts {
  const seconds = new Histogram({
    name: 'millrace_aggregator_query_seconds',
    help: `Time to answer a query, by source (${SOURCES.join(', ')}, report)`,
    labelNames: ['source'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30],
    registers: [registry],
  })
  return {
    answered: (source, duration) => seconds.observe({ source }, duration),
    storeFailed: (error) => logger.error({ err: error }, 'the store could not answer a query'),
  }
}
