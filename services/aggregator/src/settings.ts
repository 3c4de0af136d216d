import { integer, type SettingsOf, type SettingsSpec, timeZone } from '@millrace/shared'

/** What the aggregator reads besides what log, store and server read. */
export const AGGREGATOR_SETTINGS = {
  MILLRACE_TIMEZONE: timeZone('UTC', 'Time zone of sites that do not say'),
  MILLRACE_RETENTION_DAYS: integer(
    0,
    0,
    36_500,
    'Days before today that hits of sites that do not say are kept; older ones are not shown; 0 = for ever',
  ),
  MILLRACE_INSERT_DEADLINE_MS: integer(
    30_000,
    1_000,
    600_000,
    'Milliseconds from the plan of an insert until ClickHouse refuses it by its own clock; an insert in doubt is checked after this time. A server that has not answered after twice of it is not waited for any longer',
  ),
} satisfies SettingsSpec

export type AggregatorSettings = SettingsOf<typeof AGGREGATOR_SETTINGS>

/** What a process that answers SQL reads besides. */
export const SQL_SETTINGS = {
  MILLRACE_SQL_PORT: {
    ...integer(0, 1, 65_535, "Port that speaks ClickHouse's HTTP dialect at its root, for clients that take no path"),
    shown: 'none',
  },
} satisfies SettingsSpec
