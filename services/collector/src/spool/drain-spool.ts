import { setTimeout as sleep } from 'node:timers/promises'
import type { EventLog, LogProducer } from '@millrace/log'
import type { Facts } from '../facts.ts'
import { Arrivals } from './arrivals.ts'
import type { Spool } from './spool.ts'
import type { SpoolRead } from './spool-files.ts'
import { type Delivery, deliveryOf, visitLines } from './spool-records.ts'

/** How the spool shares the log with the appends of the collector. */
export interface Gate {
  /** Resolves when no append is in flight. None begins while the spool is occupied. */
  idle(): Promise<void>
  /** New hits wait in memory, for a moment: the spool is about to become empty. */
  hold(): void
  /** They go to the log. */
  release(): void
}

export interface DrainOptions {
  readonly spool: Spool
  readonly log: EventLog
  readonly producer: LogProducer
  readonly topic: string
  /** Number of partitions of the topic. */
  readonly partitions: number
  readonly gate: Gate
  readonly clock: () => number
  readonly facts: Facts
  readonly tempo?: Partial<DrainTempo>
}

export interface DrainTempo {
  readonly firstPauseMs: number
  readonly longestPauseMs: number
  /** How far the clocks of collector and log may be apart when the log is searched for hits in doubt. */
  readonly clockSkewMs: number
  /** An append that takes longer than this is no sign that the log is well. */
  readonly quickMs: number
  /** Of what survived a restart, the log is searched for this much at a time. */
  readonly windowBytes: number
}

const TEMPO: DrainTempo = {
  firstPauseMs: 20,
  longestPauseMs: 1_000,
  clockSkewMs: 60_000,
  quickMs: 150,
  windowBytes: 64 << 20,
}

export interface Drain {
  /** Ends after what is in flight; goes on until the spool is empty as long as the log takes it, for `patienceMs` at most. */
  close(patienceMs: number): Promise<void>
}

/** What the log was searched for: frames below `to`. */
interface Window {
  readonly to: number
  readonly arrivals: Arrivals
}

/**
 * Brings the spool into the log, first in first out, one bounded append after another, for as long as the collector
 * runs. What may be in the log already is looked for there before it is appended (again).
 */
export function drainSpool(options: DrainOptions): Drain {
  const { spool, log, producer, topic, partitions, gate, clock, facts } = options
  const tempo = { ...TEMPO, ...options.tempo }
  const stop = new AbortController()
  let window: Window | null = null
  let lastAppendMs = Number.POSITIVE_INFINITY
  let failing = false

  async function run(): Promise<void> {
    while (!stop.signal.aborted) {
      const change = spool.change()
      const read = spool.occupied ? await first() : null
      if (read) await drain(read)
      else if (!stop.signal.aborted) await change
    }
  }

  async function first(): Promise<SpoolRead | null> {
    try {
      return await spool.first()
    } catch (error) {
      facts.drainFailed(error)
      await pause(tempo.longestPauseMs)
      spool.wake()
      return null
    }
  }

  async function drain(read: SpoolRead): Promise<void> {
    // Under load something new waits whenever the last append ends. The end is only reached when, for a moment, nothing
    // comes in.
    if (read.end && lastAppendMs < tempo.quickMs) gate.hold()
    if (!(await deliver(read))) return
    if (window && endOf(read) >= window.to) window = null
    await spool.deliver(read).catch((error: unknown) => facts.drainFailed(error))
    if (spool.occupied) return
    lastAppendMs = Number.POSITIVE_INFINITY
    gate.release()
    facts.spoolEnds()
  }

  /** Tries until the frames are in the log; false when the collector closes before. */
  async function deliver(read: SpoolRead): Promise<boolean> {
    let pauseMs = tempo.firstPauseMs
    for (let attempt = 0; !stop.signal.aborted; attempt++) {
      let triedAt: number | null = null
      try {
        await gate.idle()
        await search(read, attempt > 0)
        const delivery = deliveryOf(read, partitions, isAcknowledged, coveringWindow(read)?.arrivals ?? null)
        triedAt = clock()
        await append(delivery)
        failing = false
        return true
      } catch (error) {
        failing = true
        lastAppendMs = Number.POSITIVE_INFINITY
        facts.drainFailed(error)
        if (triedAt !== null && !coveringWindow(read)) window = openWindow(read, triedAt)
      }
      await pause(pauseMs)
      pauseMs = Math.min(pauseMs * 2, tempo.longestPauseMs)
    }
    return false
  }

  const isAcknowledged = (seq: number): boolean => spool.standing(seq) === 'acknowledged'

  async function append({ records, hits, leftOut }: Delivery): Promise<void> {
    const startedAt = performance.now()
    if (records.size > 0) {
      await producer.append(topic, records)
      lastAppendMs = performance.now() - startedAt
    }
    facts.drained(hits, leftOut)
  }

  const coveringWindow = (read: SpoolRead): Window | null => (window && endOf(read) <= window.to ? window : null)

  /** Looks for the frames in the log if they may be there. */
  async function search(read: SpoolRead, again: boolean): Promise<void> {
    if (coveringWindow(read)) {
      if (again) await window!.arrivals.look()
      return
    }
    const standings = read.frames.map(({ seq }) => spool.standing(seq))
    if (!standings.some((standing) => standing === 'survivor' || standing === 'doubtful')) return
    const opened = openWindow(read)
    const next = standings[0] === 'survivor' ? await extend(opened, read) : opened
    await next.arrivals.look()
    window = next
  }

  function openWindow(read: SpoolRead, triedAt?: number): Window {
    const arrivals = new Arrivals(log, topic, tempo.clockSkewMs)
    addTo(arrivals, read, triedAt)
    return { to: endOf(read), arrivals }
  }

  /** With more of what survived a restart, as much as is searched for at once: every search reads the log anew. */
  async function extend({ to, arrivals }: Window, read: SpoolRead): Promise<Window> {
    let end = to
    let last = read
    for (let bytes = read.bytes.length; bytes < tempo.windowBytes; bytes += last.bytes.length) {
      const next = await spool.read(last.next)
      if (!next || spool.standing(next.frames[0]!.seq) !== 'survivor') break
      addTo(arrivals, next)
      end = endOf(next)
      last = next
    }
    return { to: end, arrivals }
  }

  /** `triedAt`: when it was first tried on the log; else as early as it was written. */
  function addTo(arrivals: Arrivals, read: SpoolRead, triedAt?: number): void {
    visitLines(read, partitions, (line, partition, writtenAt) => arrivals.add(partition, line, triedAt ?? writtenAt))
  }

  async function pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: stop.signal }).catch(() => undefined)
  }

  const running = run()

  async function close(patienceMs: number): Promise<void> {
    const until = performance.now() + patienceMs
    while (spool.occupied && !failing && performance.now() < until) await pause(CLOSE_POLL_MS)
    stop.abort()
    spool.wake()
    // An append that hangs: what it holds stays in the spool.
    await Promise.race([running, sleep(CLOSE_GRACE_MS, undefined, { ref: false })])
  }

  return { close }
}

const CLOSE_POLL_MS = 10
const CLOSE_GRACE_MS = 500

const endOf = ({ frames }: SpoolRead): number => frames.at(-1)!.seq + 1
