import { join } from 'node:path'
import { AGGREGATOR_SETTINGS, SQL_SETTINGS } from '@millrace/aggregator'
import { COLLECTOR_SETTINGS } from '@millrace/collector'
import { ENRICHER_SETTINGS } from '@millrace/enricher'
import { KAFKA_SETTINGS, kafkaOptions } from '@millrace/log'
import { SERVER_SETTINGS } from '@millrace/server'
import { integer, readSettings, type Setting, type SettingsOf, type SettingsSpec, secret, text } from '@millrace/shared'
import { BACKLOG_SETTINGS } from './follow-backlog.ts'

type Environment = Readonly<Record<string, string | undefined>>

const PARTITIONS = { embedded: 4, kafka: 24 } as const

const clickhouseUrl: Setting<string> = {
  ...secret(
    'ClickHouse server such as `http://user:password@host:8123/millrace`; empty = the engine in this process, with its data in MILLRACE_DATA_DIR',
  ),
  parse(value) {
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
      throw new Error('must be an http or https URL')
    return value
  },
}

const dataDir = { MILLRACE_DATA_DIR: text('./data', 'Folder of everything that this process keeps on disk') }

const { MILLRACE_PARTITIONS: _, ...KAFKA_CONNECTION } = KAFKA_SETTINGS

/** How a process reaches the topics. */
export const LOG_SETTINGS = {
  MILLRACE_LOG: text<'embedded' | 'kafka'>(
    'embedded',
    'Where the topics are: `embedded` = in MILLRACE_DATA_DIR, for one process; `kafka` = on Apache Kafka',
    ['embedded', 'kafka'],
  ),
  ...KAFKA_CONNECTION,
} satisfies SettingsSpec
export type LogSettings = SettingsOf<typeof LOG_SETTINGS>

/** How a process reaches ClickHouse. */
const STORE_SETTINGS = {
  MILLRACE_CLICKHOUSE_URL: clickhouseUrl,
  MILLRACE_CLICKHOUSE_CLUSTER: text(
    '',
    'Cluster of ClickHouse, of one shard, on whose replicas the tables are; empty = one server',
  ),
  ...dataDir,
} satisfies SettingsSpec
export type StoreSettings = SettingsOf<typeof STORE_SETTINGS>

/** Of a process that makes topics. */
const TOPIC_SETTINGS = {
  MILLRACE_PARTITIONS: {
    ...integer(0, 1, 4096, 'Partitions of the hits topics when they are made; fixed afterwards'),
    shown: `${PARTITIONS.embedded}; on Kafka ${PARTITIONS.kafka}`,
  },
  ...dataDir,
} satisfies SettingsSpec
export type TopicSettings = SettingsOf<typeof LOG_SETTINGS & typeof TOPIC_SETTINGS>

const REPORT_SETTINGS = {
  ...AGGREGATOR_SETTINGS,
  ...SQL_SETTINGS,
  MILLRACE_ADMIN_KEY: secret(
    "The operator's key: it may do everything (`Authorization: Bearer KEY`); without it only loopback is served",
  ),
} satisfies SettingsSpec

/** What each command reads. */
export const COLLECTOR_COMMAND = { ...SERVER_SETTINGS, ...LOG_SETTINGS, ...dataDir, ...COLLECTOR_SETTINGS }
export const ENRICHER_COMMAND = { ...SERVER_SETTINGS, ...LOG_SETTINGS, ...dataDir, ...ENRICHER_SETTINGS }
export const AGGREGATOR_COMMAND = { ...SERVER_SETTINGS, ...LOG_SETTINGS, ...STORE_SETTINGS, ...REPORT_SETTINGS }
export const MIGRATE_COMMAND = { ...STORE_SETTINGS, MILLRACE_LOG_LEVEL: SERVER_SETTINGS.MILLRACE_LOG_LEVEL }
export const TOPICS_COMMAND = {
  ...LOG_SETTINGS,
  ...TOPIC_SETTINGS,
  MILLRACE_LOG_LEVEL: SERVER_SETTINGS.MILLRACE_LOG_LEVEL,
}

/** Of the commands that move an installation. */
export const MOVE_COMMAND = { ...TOPICS_COMMAND, ...STORE_SETTINGS }

/** What the standalone process reads. */
export const STANDALONE_SETTINGS = {
  ...COLLECTOR_COMMAND,
  ...ENRICHER_COMMAND,
  ...AGGREGATOR_COMMAND,
  ...TOPIC_SETTINGS,
  ...BACKLOG_SETTINGS,
}
export type StandaloneSettings = SettingsOf<typeof STANDALONE_SETTINGS>

const instanceUrl: Setting<string> = {
  ...text('', 'Instance that `millrace site`, `millrace goal`, `millrace key` and the commands of operation talk to'),
  shown: 'http://127.0.0.1:8700',
  parse(value) {
    if (!URL.canParse(value) || !/^https?:$/.test(new URL(value).protocol))
      throw new Error('must be an http or https URL')
    return value
  },
}

/** Of the commands that look at an installation: a running instance, a folder, or Kafka and ClickHouse. */
export const OPERATOR_COMMAND = {
  MILLRACE_URL: instanceUrl,
  MILLRACE_ADMIN_KEY: REPORT_SETTINGS.MILLRACE_ADMIN_KEY,
  ...TOPICS_COMMAND,
  ...STORE_SETTINGS,
  MILLRACE_TIMEZONE: ENRICHER_SETTINGS.MILLRACE_TIMEZONE,
  MILLRACE_SESSION_TIMEOUT_MINUTES: ENRICHER_SETTINGS.MILLRACE_SESSION_TIMEOUT_MINUTES,
} satisfies SettingsSpec
export type OperatorSettings = SettingsOf<typeof OPERATOR_COMMAND>

/** Of the commands that change sites, goals and keys. */
export const ADMIN_COMMAND = {
  MILLRACE_URL: instanceUrl,
  MILLRACE_ADMIN_KEY: REPORT_SETTINGS.MILLRACE_ADMIN_KEY,
  ...dataDir,
} satisfies SettingsSpec

const geoUrl: Setting<string> = {
  ...text(
    'https://download.maxmind.com/geoip/databases/GeoLite2-City/download',
    'Where `millrace geo update` downloads from; `?suffix=tar.gz` and `?suffix=tar.gz.sha256` are added',
  ),
  parse(value) {
    const url = URL.canParse(value) ? new URL(value) : null
    // The licence key goes along.
    if (url?.protocol === 'https:' || (url?.protocol === 'http:' && isLoopback(url.hostname))) return value
    throw new Error('must be an https URL (http for this machine only)')
  },
}

/** Of the command that updates the geographical database. */
export const GEO_COMMAND = {
  MILLRACE_GEO_DATABASE: ENRICHER_SETTINGS.MILLRACE_GEO_DATABASE,
  MILLRACE_GEO_ACCOUNT_ID: text('', 'Account id at MaxMind, for `millrace geo update`'),
  MILLRACE_GEO_LICENSE_KEY: secret('Licence key at MaxMind, for `millrace geo update`'),
  MILLRACE_GEO_URL: geoUrl,
  ...dataDir,
} satisfies SettingsSpec

/** Every setting of Millrace. */
export const ALL_SETTINGS = { ...STANDALONE_SETTINGS, ...ADMIN_COMMAND, ...GEO_COMMAND } satisfies SettingsSpec

const ALL_NAMES = Object.entries<Setting<unknown>>(ALL_SETTINGS).flatMap(([name, { secret: hidden }]) =>
  hidden ? [name, `${name}_FILE`] : [name],
)

/**
 * What `spec` names, from the environment; names that only other commands know are left alone, so that all services can
 * share one environment. @throws SettingsError naming every wrong setting; Error when settings do not fit together
 */
export function settingsFrom<S extends SettingsSpec>(spec: S, env: Environment): SettingsOf<S> {
  const settings = readSettings(spec, env, ALL_NAMES)
  if ('MILLRACE_LOG' in settings && settings.MILLRACE_LOG === 'kafka') {
    kafkaConnection(settings as unknown as LogSettings)
  }
  if ('MILLRACE_ADMIN_KEY' in settings && 'MILLRACE_HOST' in settings)
    assertReportsAreSafe(settings as unknown as StandaloneSettings)
  return settings
}

/** As settingsFrom, for a process that is one service of several. @throws Error when the log is the embedded one */
export function serviceSettingsFrom<S extends SettingsSpec & typeof LOG_SETTINGS>(
  service: string,
  spec: S,
  env: Environment,
): SettingsOf<S> {
  const settings = settingsFrom(spec, env)
  if (settings.MILLRACE_LOG === 'kafka') return settings
  throw new Error(
    `${service} alone needs Kafka: the embedded log belongs to one process, its folder cannot be shared. Set
MILLRACE_LOG=kafka and MILLRACE_KAFKA_BROKERS, or run everything in one process by millrace start`,
  )
}

/** Where a collector keeps what the log does not take. */
export const spoolDirOf = (settings: SettingsOf<typeof dataDir>): string => join(settings.MILLRACE_DATA_DIR, 'spool')

/** Where the enricher puts aside what it seldom asks for. Its files have no names. */
export const asideDirOf = (settings: SettingsOf<typeof dataDir>): string => join(settings.MILLRACE_DATA_DIR, 'aside')

/** Options of the Kafka log. @throws Error when settings do not fit together */
export const kafkaConnection = (settings: LogSettings) =>
  kafkaOptions({ ...settings, MILLRACE_PARTITIONS: PARTITIONS.kafka })

/** Partitions that the hits topics get when they are made. */
export const partitionsFrom = (settings: TopicSettings): number =>
  settings.MILLRACE_PARTITIONS || PARTITIONS[settings.MILLRACE_LOG]

type ReportSettings = Pick<StandaloneSettings, 'MILLRACE_HOST' | 'MILLRACE_ADMIN_KEY'>

function assertReportsAreSafe({ MILLRACE_HOST: host, MILLRACE_ADMIN_KEY: key }: ReportSettings): void {
  if (key || isLoopback(host)) return
  throw new Error(
    `MILLRACE_HOST is not a loopback address and MILLRACE_ADMIN_KEY is not set: anyone who reaches the port could read
every report and change every site. Make a key and start again with it, for example:
  export MILLRACE_ADMIN_KEY=$(openssl rand -hex 32)`,
  )
}

/** Whether only this machine can reach `host`. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host)
}
