import { integer, type SettingsOf, type SettingsSpec, timeZone } from '@millrace/shared'

/** What the enricher is told. Both are for sites that do not say. */
export const ENRICHER_SETTINGS = {
  MILLRACE_TIMEZONE: timeZone('UTC', 'Time zone of sites that do not say; their days begin and end in it'),
  MILLRACE_SESSION_TIMEOUT_MINUTES: integer(
    30,
    1,
    720,
    'Minutes without a hit that end a session, for sites that do not say',
  ),
} as const satisfies SettingsSpec

export type EnricherSettings = SettingsOf<typeof ENRICHER_SETTINGS>
