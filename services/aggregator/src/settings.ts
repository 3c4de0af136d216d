import { type SettingsOf, type SettingsSpec, timeZone } from '@millrace/shared'

/** What the aggregator reads besides what log, store and server read. */
export const AGGREGATOR_SETTINGS = {
  MILLRACE_TIMEZONE: timeZone('UTC', 'Time zone of sites that do not say'),
} satisfies SettingsSpec

export type AggregatorSettings = SettingsOf<typeof AGGREGATOR_SETTINGS>
