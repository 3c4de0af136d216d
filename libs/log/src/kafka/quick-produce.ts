import { createRequire } from 'node:module'
import type { Message } from 'kafkajs'
import { compressLz4 } from './codecs.ts'
import { encodeBatch, encodeRecords, LZ4, UNCOMPRESSED } from './record-batch.ts'

/** What kafkajs asks to be encoded. */
export interface ProduceArguments {
  readonly acks: number
  readonly timeout: number
  readonly topicData: readonly TopicData[]
}
interface TopicData {
  readonly topic: string
  readonly partitions: readonly { readonly partition: number; readonly messages: readonly Message[] }[]
}

/** kafkajs' encoder, as far as the one around a request asks for it. */
interface Encoded {
  readonly buf: Buffer
  readonly buffer: Buffer
}
interface ProduceRequest {
  readonly apiVersion: number
  encode(): Promise<Encoded>
}
interface Produce {
  protocol(options: { version: number }): (given: ProduceArguments) => { request: ProduceRequest; response: unknown }
  [QUICKENED]?: true
}

const require = createRequire(import.meta.url)
const QUICKENED = Symbol.for('millrace.quickProduce')
/** The first version with the record batches that brokers keep today; all up to 7 are laid out the same. */
const OLDEST_VERSION = 3
/** Smaller batches cost more to compress than they save. */
export const COMPRESSED_FROM_BYTES = 4_096

/** kafkajs' produce requests. They are no part of the public face of the package: libs/log/package.json pins the version. */
export const produceRequests = (): Produce => require('kafkajs/src/protocol/requests/produce/index.js')

/**
 * The client's encoder makes some ten buffers and promises of each record and partition: an append of 60 hits to 24
 * partitions costs more there than in the broker. This one writes the same bytes into few. Compression is decided here, by
 * batch.
 */
export function quickenProduce(): void {
  const requests = produceRequests()
  if (requests[QUICKENED]) return
  const { protocol } = requests
  requests.protocol = ({ version }) => {
    const original = protocol({ version })
    if (version < OLDEST_VERSION) return original
    return (given) => {
      const { request, response } = original(given)
      return { request: { ...request, encode: () => encodeRequest(given) }, response }
    }
  }
  requests[QUICKENED] = true
}

async function encodeRequest({ acks, timeout, topicData }: ProduceArguments): Promise<Encoded> {
  const nowMs = Date.now()
  const parts: Buffer[] = [numbers([2, -1], [2, acks], [4, timeout], [4, topicData.length])]
  for (const { topic, partitions } of topicData) {
    const name = Buffer.from(topic)
    parts.push(numbers([2, name.length]), name, numbers([4, partitions.length]))
    for (const { partition, messages } of partitions) {
      const encoded = batchOf(messages, nowMs)
      const batch = encoded instanceof Promise ? await encoded : encoded
      parts.push(numbers([4, partition], [4, batch.length]), batch)
    }
  }
  const bytes = Buffer.concat(parts)
  return { buf: bytes, buffer: bytes }
}

/** Compressed where that makes it smaller. A promise only where compression takes long. */
function batchOf(messages: readonly Message[], nowMs: number): Buffer | Promise<Buffer> {
  const records = encodeRecords(messages, nowMs)
  const { bytes } = records
  if (bytes.length < COMPRESSED_FROM_BYTES) return encodeBatch(records, bytes, UNCOMPRESSED)
  const whichever = (packed: Buffer): Buffer =>
    packed.length < bytes.length ? encodeBatch(records, packed, LZ4) : encodeBatch(records, bytes, UNCOMPRESSED)
  const packed = compressLz4(bytes)
  return packed instanceof Promise ? packed.then(whichever) : whichever(packed)
}

/** Big-endian integers of 2 or 4 bytes. */
function numbers(...list: readonly (readonly [bytes: 2 | 4, value: number])[]): Buffer {
  const written = Buffer.allocUnsafe(list.reduce((sum, [bytes]) => sum + bytes, 0))
  let at = 0
  for (const [bytes, value] of list) at = written.writeIntBE(value, at, bytes)
  return written
}
