import { createRequire } from 'node:module'
import type { Message } from 'kafkajs'

const require = createRequire(import.meta.url)
/** kafkajs' own: node's zlib has another polynomial. */
const crc32c = require('kafkajs/src/protocol/recordBatch/crc32C/index.js') as (bytes: Buffer) => number

const HEAD_BYTES = 61
/** What the checksum is of begins here. */
const CHECKED_FROM = 21
const LENGTH_AT = 8
/** What the length counts begins here. */
const COUNTED_FROM = 12
const MAGIC = 2
export const UNCOMPRESSED = 0
export const LZ4 = 3

type Bytes = Buffer | string | null | undefined

/** Records of one partition as they stand in a batch, without compression (Kafka protocol, record batch of magic 2). */
export interface EncodedRecords {
  readonly bytes: Buffer
  readonly count: number
  /** Epoch milliseconds. */
  readonly firstTimestamp: number
  readonly maxTimestamp: number
}

/** Messages without a timestamp get `nowMs`. */
export function encodeRecords(messages: readonly Message[], nowMs: number): EncodedRecords {
  const times = messages.map(({ timestamp }) => (timestamp === undefined ? nowMs : Number(timestamp)))
  let firstTimestamp = times[0]!
  let maxTimestamp = firstTimestamp
  for (const time of times) {
    if (time < firstTimestamp) firstTimestamp = time
    if (time > maxTimestamp) maxTimestamp = time
  }
  const sizes = messages.map((message, i) => sizeOfRecord(message, i, times[i]! - firstTimestamp))
  const writer = new Writer(sizes.reduce((sum, size) => sum + sizeOfVarint(size) + size, 0))
  for (let i = 0; i < messages.length; i++) {
    const { key, value, headers = {} } = messages[i]!
    writer.varint(sizes[i]!)
    writer.byte(0)
    writer.varint(times[i]! - firstTimestamp)
    writer.varint(i)
    writer.sized(key)
    writer.sized(value)
    const names = Object.keys(headers)
    writer.varint(names.length)
    for (const name of names) {
      writer.sized(name)
      writer.sized(headers[name] as Buffer)
    }
  }
  return { bytes: writer.bytes, count: messages.length, firstTimestamp, maxTimestamp }
}

/** A batch of no transaction and no idempotent producer. `body` are the records, compressed as `codec` says. */
export function encodeBatch(records: EncodedRecords, body: Buffer, codec: number): Buffer {
  const batch = Buffer.allocUnsafe(HEAD_BYTES + body.length)
  let at = batch.writeBigInt64BE(0n, 0)
  at = batch.writeInt32BE(batch.length - COUNTED_FROM, LENGTH_AT)
  at = batch.writeInt32BE(0, at) // leader epoch: the broker's
  batch.writeInt8(MAGIC, at)
  at = batch.writeInt16BE(codec, CHECKED_FROM)
  at = batch.writeInt32BE(records.count - 1, at)
  at = batch.writeBigInt64BE(BigInt(records.firstTimestamp), at)
  at = batch.writeBigInt64BE(BigInt(records.maxTimestamp), at)
  at = batch.writeBigInt64BE(-1n, at) // no producer id
  at = batch.writeInt16BE(0, at)
  at = batch.writeInt32BE(0, at)
  at = batch.writeInt32BE(records.count, at)
  body.copy(batch, at)
  batch.writeUInt32BE(crc32c(batch.subarray(CHECKED_FROM)), CHECKED_FROM - 4)
  return batch
}

function sizeOfRecord({ key, value, headers = {} }: Message, offsetDelta: number, timeDelta: number): number {
  const names = Object.keys(headers)
  let size = 1 + sizeOfVarint(timeDelta) + sizeOfVarint(offsetDelta) + sizeOfSized(key) + sizeOfSized(value)
  size += sizeOfVarint(names.length)
  for (const name of names) size += sizeOfSized(name) + sizeOfSized(headers[name] as Buffer)
  return size
}

const lengthOf = (bytes: Bytes): number => (bytes == null ? -1 : Buffer.byteLength(bytes))
const sizeOfSized = (bytes: Bytes): number => sizeOfVarint(lengthOf(bytes)) + Math.max(0, lengthOf(bytes))

/** Zigzag: small numbers of either sign are short. Exact up to 2^52. */
const zigzag = (value: number): number => (value < 0 ? -2 * value - 1 : 2 * value)

function sizeOfVarint(value: number): number {
  let size = 1
  for (let rest = zigzag(value); rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

/** Fills a buffer of known size. */
class Writer {
  readonly bytes: Buffer
  #at = 0

  constructor(size: number) {
    this.bytes = Buffer.allocUnsafe(size)
  }

  byte(value: number): void {
    this.bytes[this.#at++] = value
  }

  varint(value: number): void {
    let rest = zigzag(value)
    for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) this.byte((rest % 0x80) | 0x80)
    this.byte(rest)
  }

  /** The length and the bytes; -1 = there are none. */
  sized(value: Bytes): void {
    this.varint(lengthOf(value))
    if (typeof value === 'string') this.#at += this.bytes.write(value, this.#at)
    else if (value != null) this.#at += value.copy(this.bytes, this.#at)
  }
}
