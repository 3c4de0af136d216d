/** Records of a topic for people: any of ours as JSON, without what tells who somebody is. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, LogAdmin, LogReader, StoredRecord } from '@millrace/log'
import { showRecord } from './show-record.ts'

const POLL_MS = 200

export interface TailRequest {
  readonly topic: string
  /** null = all. */
  readonly partition: number | null
  /** Where to begin: `begin`, `end`, an offset, `-N` for the last N of each partition, or a time (RFC 3339). */
  readonly from: string
  /** Records at most; Infinity = all. */
  readonly limit: number
  /** Waits for more at the end. */
  readonly follow: boolean
  /** Shows addresses, user agents and other personal data. */
  readonly personal: boolean
}

/** Every record, in the order of its partition, one partition after another; with `follow` until the signal ends it. */
export async function* tailTopic(
  log: EventLog,
  request: TailRequest,
  signal: AbortSignal,
): AsyncGenerator<Record<string, unknown>> {
  const admin = log.admin()
  const reader = log.reader()
  try {
    const next = await startOffsets(admin, request)
    let left = request.limit
    for (;;) {
      const ends = await admin.endOffsets(request.topic)
      for (const [partition, from] of next) {
        const end = ends.get(partition) ?? from
        for await (const record of recordsOf(reader, request.topic, partition, from, end)) {
          if (left-- <= 0 || signal.aborted) return
          yield showRecord(request.topic, partition, record, request.personal)
        }
        next.set(partition, Math.max(from, end))
      }
      if (!request.follow || left <= 0 || signal.aborted) return
      await sleep(POLL_MS, undefined, { signal }).catch(() => undefined)
    }
  } finally {
    await reader.close()
    await admin.close()
  }
}

async function* recordsOf(
  reader: LogReader,
  topic: string,
  partition: number,
  from: number,
  end: number,
): AsyncGenerator<StoredRecord> {
  if (from < end) for await (const batch of reader.read(topic, partition, from, end)) yield* batch
}

/** @throws Error for a partition that does not exist, or a `from` that says nothing */
async function startOffsets(admin: LogAdmin, { topic, partition, from }: TailRequest): Promise<Map<number, number>> {
  const lows = await admin.lowOffsets(topic)
  const ends = await admin.endOffsets(topic)
  const partitions = [...ends.keys()].filter((one) => partition === null || one === partition)
  if (partitions.length === 0) throw new Error(`${topic} has the partitions 0 to ${ends.size - 1}`)
  const timed = /^\d{4}-/.test(from) ? await admin.offsetsForTime(topic, timeOf(from)) : null
  return new Map(
    partitions.map((one) => {
      const low = lows.get(one) ?? 0
      const end = ends.get(one) ?? 0
      return [one, Math.max(low, timed?.get(one) ?? placeOf(from, low, end))]
    }),
  )
}

function placeOf(from: string, low: number, end: number): number {
  if (from === 'begin') return low
  if (from === 'end') return end
  if (!/^-?\d{1,15}$/.test(from)) throw new Error('--from must be begin, end, an offset, -N for the last N, or a time')
  return from.startsWith('-') ? end + Number(from) : Number(from)
}

function timeOf(from: string): number {
  const ms = Date.parse(from)
  if (Number.isNaN(ms)) throw new Error('--from must be a time such as 2026-11-22T10:00:00Z')
  return ms
}
