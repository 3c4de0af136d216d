import { integer, type SettingsOf, type SettingsSpec, secret, text } from '@millrace/shared'
import type { KafkaSasl } from './client.ts'

/** Settings of the Kafka log; read when MILLRACE_LOG is kafka. */
export const KAFKA_SETTINGS = {
  MILLRACE_KAFKA_BROKERS: text(
    '',
    'Addresses of some brokers, host:port, separated by commas; the others are learnt from them',
  ),
  MILLRACE_KAFKA_SSL: text<'true' | 'false'>('false', 'Whether brokers are reached by TLS', ['true', 'false']),
  MILLRACE_KAFKA_SASL_MECHANISM: text<'' | KafkaSasl['mechanism']>(
    '',
    'How we log in to the brokers; empty: not at all',
    ['', 'plain', 'scram-sha-256', 'scram-sha-512'],
  ),
  MILLRACE_KAFKA_SASL_USERNAME: text('', 'User name for the brokers'),
  MILLRACE_KAFKA_SASL_PASSWORD: secret('Password for the brokers'),
  MILLRACE_PARTITIONS: integer(24, 1, 4096, 'Partitions of the hit topics when they are made; never changed in place'),
  MILLRACE_TOPIC_PREFIX: text('', 'Put before the names of all topics and consumer groups'),
} satisfies SettingsSpec

/**
 * The options of `openKafkaLog` from the settings.
 * @throws Error when settings do not fit together
 */
export function kafkaOptions(settings: SettingsOf<typeof KAFKA_SETTINGS>) {
  const brokers = settings.MILLRACE_KAFKA_BROKERS.split(',')
    .map((broker) => broker.trim())
    .filter((broker) => broker !== '')
  if (brokers.length === 0) throw new Error('MILLRACE_KAFKA_BROKERS is empty')
  const mechanism = settings.MILLRACE_KAFKA_SASL_MECHANISM
  const username = settings.MILLRACE_KAFKA_SASL_USERNAME
  const password = settings.MILLRACE_KAFKA_SASL_PASSWORD
  if (mechanism !== '' && (username === '' || password === ''))
    throw new Error('MILLRACE_KAFKA_SASL_MECHANISM needs MILLRACE_KAFKA_SASL_USERNAME and MILLRACE_KAFKA_SASL_PASSWORD')
  return {
    brokers,
    ssl: settings.MILLRACE_KAFKA_SSL === 'true',
    ...(mechanism !== '' && { sasl: { mechanism, username, password } }),
    topicPrefix: settings.MILLRACE_TOPIC_PREFIX,
    hitPartitions: settings.MILLRACE_PARTITIONS,
  }
}
