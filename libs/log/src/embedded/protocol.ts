import type { MessagePort } from 'node:worker_threads'
import type { TopicSpec } from '@millrace/shared'
import type { Assignment } from '../event-log.ts'
import { AppendInDoubt, AppendRefused, CommitRefused, type PartitionPosition, PositionLost } from '../event-log.ts'
import type { LogNotice } from './notice.ts'
import type { StoredSpec } from './topic-files.ts'

/** What a thread can ask of the writer thread, and what it is answered. */
export interface Operations {
  /** `bytes`: drafted frames of one topic, transferred. Answer: [partition, first offset] pairs. */
  append: { ask: { topic: string; bytes: Uint8Array }; answer: [number, number][] }
  commit: { ask: { member: number; positions: readonly PartitionPosition[] }; answer: undefined }
  join: { ask: { group: string; topics: readonly string[] }; answer: { member: number; assignments: Assignment[] } }
  leave: { ask: { member: number }; answer: undefined }
  ensureTopics: { ask: { specs: readonly TopicSpec[]; hitPartitions: number }; answer: undefined }
  /** Bytes from the oldest record that the group has not committed to the end of the topic. */
  backlog: { ask: { group: string; topic: string }; answer: number }
  committed: { ask: { group: string; topic: string }; answer: [number, { offset: number; metadata: string }][] }
  offsetsForTime: { ask: { topic: string; timestampMs: number }; answer: number[] }
  /** Positions at or before the records [partition, offset], and the generation in which they hold. */
  locate: {
    ask: { topic: string; wanted: readonly (readonly [partition: number, offset: number])[] }
    answer: { generation: number; positions: number[] }
  }
  /** Answered after everything that the writer sent before. */
  ping: { ask: Record<never, never>; answer: undefined }
  attach: { ask: { port: MessagePort }; answer: undefined }
  holdRetention: { ask: { held: boolean }; answer: undefined }
  maintain: { ask: Record<never, never>; answer: undefined }
  close: { ask: Record<never, never>; answer: undefined }
}

export type Operation = keyof Operations
export type Request = { [O in Operation]: { op: O; id: number } & Operations[O]['ask'] }[Operation]

export interface Reply {
  readonly id: number
  readonly answer?: unknown
  readonly error?: { name: string; message: string }
}

export interface TopicInfo {
  readonly spec: StoredSpec
  readonly dir: string
  /** Place of the topic's flag in a client's `wanted`. */
  readonly flag: number
  readonly positions: SharedArrayBuffer
  readonly bases: readonly number[]
}

/** What the writer says unasked. */
export type Announcement =
  | { op: 'hello'; epoch: number; wanted: SharedArrayBuffer }
  | { op: 'topic'; topic: TopicInfo }
  /** Segments of a topic came, went or were rewritten. */
  | { op: 'segments'; topic: string; bases: readonly number[] }
  /** There are new durable records in topics whose flag in `wanted` was set. */
  | { op: 'wake'; topics: readonly string[] }
  | { op: 'notice'; notice: LogNotice }
  | { op: 'replies'; replies: readonly Reply[] }

/** What the thread that starts the writer passes to it. */
export interface WriterStart {
  readonly dir: string
  readonly segmentBytes: number
  readonly maintenanceMs: number
  readonly retentionHeld: boolean
  /** One float: epoch ms, 0 = the system's clock. For tests. */
  readonly clock: SharedArrayBuffer | null
  readonly port: MessagePort
}

/** Flags in `wanted`: at most this many topics. */
export const MAX_TOPICS = 1024

const ERRORS = { AppendInDoubt, AppendRefused, CommitRefused, PositionLost, RangeError } as const

/** The error of a reply, of the class that the port names. */
export function errorOf({ name, message }: { name: string; message: string }): Error {
  const Class = (ERRORS as Record<string, new (message: string) => Error>)[name] ?? Error
  return new Class(message)
}
