import { connect as connectPlain, isIP } from 'node:net'
import { connect as connectTls } from 'node:tls'
import kafkajs, { type Cluster, type Consumer, type ISocketFactoryArgs, type Kafka, type KafkaConfig } from 'kafkajs'
import { calmRequestQueues } from './calm-request-queue.ts'
import { registerCodecs } from './codecs.ts'
import { freshenConnections } from './fresh-connection.ts'
import { quickenProduce } from './quick-produce.ts'
import { wantWholeBrokers } from './whole-broker.ts'

/** Where the client's own log lines go (a pino logger fits). */
export interface KafkaLogger {
  debug(facts: object, message: string): void
  warn(facts: object, message: string): void
}

/** How the brokers are reached. */
export interface KafkaConnection {
  /** host:port of some brokers; the others are learnt from them. */
  readonly brokers: readonly string[]
  /** TLS: true = with the system's certificate authorities. */
  readonly ssl?: KafkaConfig['ssl']
  readonly sasl?: KafkaSasl
  readonly logger: KafkaLogger
}

export interface KafkaSasl {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

/** Always given in full: with NODE_ENV=test the client takes other defaults (guard 10). Milliseconds. */
export const RETRY = { retries: 20, initialRetryTime: 50, maxRetryTime: 500, factor: 0.2, multiplier: 2 } as const
/** A leader or coordinator that moved is found within the first retries; a dead one is given up in about 3 s. */
const GROUP_RETRY = { ...RETRY, retries: 8 } as const
export const REQUEST_TIMEOUT_MS = 5_000
const CONNECTION_TIMEOUT_MS = 1_000
const METADATA_MAX_AGE_MS = 60_000

/** The one place where the client is configured. */
export function createKafka({ brokers, ssl, sasl, logger }: KafkaConnection): Kafka {
  registerCodecs()
  calmRequestQueues()
  freshenConnections()
  wantWholeBrokers()
  quickenProduce()
  return new kafkajs.Kafka({
    clientId: 'millrace',
    brokers: [...brokers],
    ...(ssl !== undefined && { ssl }),
    ...(sasl && { sasl: { ...sasl } as NonNullable<KafkaConfig['sasl']> }),
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: RETRY,
    socketFactory: openSocket,
    logLevel: kafkajs.logLevel.WARN,
    logCreator: () => (entry) => forward(entry, logger),
  })
}

/** As the client's own, but without Nagle's delay: a request is written at once and waits for its answer. */
function openSocket({ host, port, ssl, onConnect }: ISocketFactoryArgs) {
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : connectPlain({ host, port }, onConnect)
  socket.setKeepAlive(true, 60_000)
  socket.setNoDelay(true)
  return socket
}

interface LogEntry {
  readonly label: string
  readonly namespace: string
  readonly log: { readonly message: string; readonly [key: string]: unknown }
}

/** Only what names the trouble: an entry may also carry payloads. The client calls each lost connection an error. */
function forward({ label, namespace, log }: LogEntry, logger: KafkaLogger): void {
  const { message, broker, groupId, error, retryCount } = log
  const facts = { part: namespace, broker, groupId, error: typeof error === 'string' ? error : undefined, retryCount }
  if (label === 'ERROR' || label === 'WARN') logger.warn(facts, message)
  else logger.debug(facts, message)
}

/**
 * A cluster handle of its own (connections, metadata, requests) through the one public way to it: the client hands it to
 * partition assigners. The consumer that it belongs to is never run, so that no group comes into being.
 */
export function openCluster(kafka: Kafka): Cluster {
  let cluster: Cluster | undefined
  consumerWithCluster(kafka, 'millrace.unused', (given) => {
    cluster = given
  })
  return cluster!
}

/** A group consumer, the cluster handle that it uses, and word of each time that it is about to (re)join. */
export function consumerWithCluster(
  kafka: Kafka,
  groupId: string,
  onCluster: (cluster: Cluster) => void,
  onJoining: () => void = () => {},
  timing: { readonly sessionTimeoutMs: number; readonly heartbeatMs: number } = {
    sessionTimeoutMs: 10_000,
    heartbeatMs: 3_000,
  },
): Consumer {
  return kafka.consumer({
    groupId,
    allowAutoTopicCreation: false,
    metadataMaxAge: METADATA_MAX_AGE_MS,
    readUncommitted: true,
    sessionTimeout: timing.sessionTimeoutMs,
    rebalanceTimeout: Math.max(timing.sessionTimeoutMs, 5_000),
    heartbeatInterval: timing.heartbeatMs,
    maxWaitTimeInMs: timing.heartbeatMs,
    retry: GROUP_RETRY,
    partitionAssigners: [
      (config) => {
        onCluster(config.cluster)
        const roundRobin = kafkajs.PartitionAssigners.roundRobin(config)
        return {
          name: roundRobin.name,
          version: roundRobin.version,
          assign: (group) => roundRobin.assign(group),
          protocol: (subscription) => {
            onJoining()
            return roundRobin.protocol(subscription)
          },
        }
      },
    ],
  })
}

/** Connects, if necessary, and makes sure that the leaders of the topics are known. */
export async function knowTopics(cluster: Cluster, topics: readonly string[]): Promise<void> {
  if (!cluster.isConnected()) await cluster.connect()
  await cluster.addMultipleTargetTopics([...topics])
  await cluster.refreshMetadataIfNecessary()
}

/** After trouble: connections and leaders anew. Errors are left to the next request. */
export async function recoverCluster(cluster: Cluster): Promise<void> {
  try {
    if (!cluster.isConnected()) await cluster.connect()
    await cluster.refreshMetadata()
  } catch {
    // the request that is repeated next says what is wrong
  }
}
