import { readSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { KAFKA_SETTINGS, kafkaOptions } from './settings.ts'

const optionsOf = (env: Record<string, string>) => kafkaOptions(readSettings(KAFKA_SETTINGS, env))

describe('kafkaOptions', () => {
  it('reads brokers, prefix and partitions', () => {
    expect(optionsOf({ MILLRACE_KAFKA_BROKERS: 'a:1, b:2,', MILLRACE_TOPIC_PREFIX: 'eu.' })).toEqual({
      brokers: ['a:1', 'b:2'],
      ssl: false,
      topicPrefix: 'eu.',
      hitPartitions: 24,
    })
  })

  it('reads how to log in', () => {
    const env = {
      MILLRACE_KAFKA_BROKERS: 'a:1',
      MILLRACE_KAFKA_SSL: 'true',
      MILLRACE_KAFKA_SASL_MECHANISM: 'scram-sha-512',
      MILLRACE_KAFKA_SASL_USERNAME: 'millrace',
      MILLRACE_KAFKA_SASL_PASSWORD: 'secret',
    }
    expect(optionsOf(env)).toMatchObject({
      ssl: true,
      sasl: { mechanism: 'scram-sha-512', username: 'millrace', password: 'secret' },
    })
  })

  it.each([
    [{}, 'MILLRACE_KAFKA_BROKERS is empty'],
    [{ MILLRACE_KAFKA_BROKERS: 'a:1', MILLRACE_KAFKA_SASL_MECHANISM: 'plain' }, 'MILLRACE_KAFKA_SASL_PASSWORD'],
    [{ MILLRACE_KAFKA_BROKERS: 'a:1', MILLRACE_KAFKA_SASL_MECHANISM: 'gssapi' }, 'MILLRACE_KAFKA_SASL_MECHANISM'],
  ])('refuses %j', (env, message) => {
    expect(() => optionsOf(env)).toThrow(message)
  })
})
