import { AGGREGATOR_SETTINGS } from '@millrace/aggregator'
import { COLLECTOR_SETTINGS } from '@millrace/collector'
import { ENRICHER_SETTINGS } from '@millrace/enricher'
import { SERVER_SETTINGS } from '@millrace/server'
import { integer, readSettings, type SettingsOf, secret, text } from '@millrace/shared'

/** Every setting of the standalone process. */
export const STANDALONE_SETTINGS = {
  ...SERVER_SETTINGS,
  ...COLLECTOR_SETTINGS,
  ...ENRICHER_SETTINGS,
  ...AGGREGATOR_SETTINGS,
  MILLRACE_DATA_DIR: text('./data', 'Folder of the embedded log and of the embedded ClickHouse'),
  MILLRACE_LOG: text('embedded', 'Where the topics are', ['embedded']),
  MILLRACE_PARTITIONS: integer(4, 1, 256, 'Partitions of the hits topics when they are made; fixed afterwards'),
  MILLRACE_CLICKHOUSE_URL: text(
    '',
    'ClickHouse server such as `http://user:password@host:8123/millrace`; empty = the embedded engine',
  ),
  MILLRACE_ADMIN_KEY: secret('Key that reports need (`Authorization: Bearer KEY`); without it only loopback is served'),
}
export type StandaloneSettings = SettingsOf<typeof STANDALONE_SETTINGS>

/** Reads the environment. @throws SettingsError naming every wrong setting; Error when strangers could read the reports */
export function standaloneSettings(env: Readonly<Record<string, string | undefined>>): StandaloneSettings {
  const settings = readSettings(STANDALONE_SETTINGS, env)
  if (!settings.MILLRACE_ADMIN_KEY && !isLoopback(settings.MILLRACE_HOST)) {
    throw new Error(
      `MILLRACE_HOST is not a loopback address and MILLRACE_ADMIN_KEY is not set: anyone who reaches the port could read
every report. Make a key and start again with it, for example:
  export MILLRACE_ADMIN_KEY=$(openssl rand -hex 32)`,
    )
  }
  return settings
}

/** Whether only this machine can reach `host`. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
