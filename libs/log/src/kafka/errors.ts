/** What an error of the Kafka client says of the request that failed; its kind is hidden in a chain of causes. */
interface ClientError {
  readonly name?: string
  readonly type?: string
  readonly message?: string
  readonly cause?: unknown
  readonly topic?: string
  readonly partition?: number
}

/** The broker looked at the records and will never take them: to send them again cannot help. */
const POISON = new Set([
  'MESSAGE_TOO_LARGE',
  'RECORD_LIST_TOO_LARGE',
  'INVALID_TIMESTAMP',
  'INVALID_RECORD',
  'UNSUPPORTED_FOR_MESSAGE_FORMAT',
  'POLICY_VIOLATION',
])
/** The group went on without us. */
const FENCED = new Set(['ILLEGAL_GENERATION', 'UNKNOWN_MEMBER_ID', 'REBALANCE_IN_PROGRESS', 'FENCED_INSTANCE_ID'])
/** Mistakes of the operator (rights, credentials, settings): they stay until somebody changes something. */
const HOPELESS = new Set([
  'TOPIC_AUTHORIZATION_FAILED',
  'GROUP_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'UNSUPPORTED_VERSION',
  'INVALID_TOPIC_EXCEPTION',
  'INVALID_GROUP_ID',
  'OFFSET_METADATA_TOO_LARGE',
  'INVALID_REPLICATION_FACTOR',
  'INVALID_PARTITIONS',
  'INVALID_CONFIG',
])

/** Mistakes of the program, and a codec that is missing. */
const BUGS = new Set(['TypeError', 'RangeError', 'ReferenceError', 'SyntaxError', 'KafkaJSNotImplemented'])

/** The error and its causes, outermost first: the client wraps connection trouble in errors called NonRetriable (guard 8). */
function causes(error: unknown): ClientError[] {
  const chain: ClientError[] = []
  let current = error as ClientError | null | undefined
  while (current && chain.length < 16) {
    chain.push(current)
    current = current.cause as ClientError | undefined
  }
  return chain
}

const hasType = (error: unknown, types: ReadonlySet<string>): boolean =>
  causes(error).some(({ type }) => type !== undefined && types.has(type))

/** Nothing of the partition was written, and repeating cannot help. TypeError: the client could not encode a record. */
export const isPoison = (error: unknown): boolean =>
  hasType(error, POISON) || causes(error).some(({ name }) => name === 'TypeError')

/** A commit came from a generation of the group that is over. */
export const isFenced = (error: unknown): boolean => hasType(error, FENCED)

export const isHopeless = (error: unknown): boolean => hasType(error, HOPELESS)

/** What may be over when it is tried again: neither the operator nor a programmer has to do anything. */
export const mayPass = (error: unknown): boolean =>
  !isHopeless(error) && !causes(error).some(({ name }) => name !== undefined && BUGS.has(name))

const UNKNOWN_TOPIC = new Set(['UNKNOWN_TOPIC_OR_PARTITION', 'INVALID_TOPIC_EXCEPTION'])
export const isUnknownTopic = (error: unknown): boolean => hasType(error, UNKNOWN_TOPIC)

/** The partition whose fetch offset is outside of the log, else null. */
export function outOfRange(error: unknown): { topic: string; partition: number } | null {
  for (const { type, topic, partition } of causes(error)) {
    if (type === 'OFFSET_OUT_OF_RANGE' && topic !== undefined && partition !== undefined) return { topic, partition }
  }
  return null
}

/** The innermost message, which names the reason; the outer ones only count retries. */
export function reasonOf(error: unknown): string {
  let reason = String(error)
  for (const { name, type, message } of causes(error)) reason = type ? `${type}: ${message}` : `${name}: ${message}`
  return reason
}
