import { ClickHouseLogLevel, createClient } from '@clickhouse/client'

/** ClickHouse's own client for Node, as its users make it: to see that it connects unchanged. */
export const clickHouseClient = (options: Parameters<typeof createClient>[0]) =>
  createClient({ ...options, log: { level: ClickHouseLogLevel.OFF } })
