import { type Ran, runMillrace } from '@millrace/testing'
import type { Cluster } from '../../../infra/cluster/cluster.mjs'

/** The command line as an operator of the cluster calls it: Kafka and ClickHouse by settings, no instance by its address. */
export function millraceOn(
  cluster: Cluster,
  settings: Readonly<Record<string, string>> = {},
): (...args: string[]) => Promise<Ran> {
  const env = {
    MILLRACE_LOG: 'kafka',
    MILLRACE_KAFKA_BROKERS: cluster.brokers.join(','),
    MILLRACE_CLICKHOUSE_URL: cluster.urlOf('clickhouse'),
    ...settings,
  }
  return (...args) => runMillrace(args, env)
}
