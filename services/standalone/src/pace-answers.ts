import type { Collector } from '@millrace/collector'
import { Gauge, type Server } from '@millrace/server'
import type { Backlog } from './follow-backlog.ts'
import { lookEvery } from './look-every.ts'

const POLL_MS = 250
/** As long as less waits in the log, and nothing in the spool, nobody asks how late reports are. */
const BUSY_BYTES = 8 << 20
/** Reports fall behind while a batch is gathered and inserted; how far they are behind at best tells whether the store keeps up. */
const POLLS_TO_DECIDE = 8
/** Reports that are further behind than this at best are late. */
const LATE_MS = 1_200
const SLOWER = 1.5
const FASTER = 0.8
/** At least this part of how late they are: who is ten seconds late already cannot find out step by step. */
const AT_LEAST = 1 / 20
const SHORTEST_MS = 8
/** Far below the patience of senders. */
const LONGEST_MS = 1_000

/** How long answers are held back, while somebody follows how late reports are. */
export interface Pace {
  /** Milliseconds from the moment at which hits are durable until their sender is told; 0 = none. */
  holdBackMs(): number
  close(): void
}

/** Where hits wait. */
export interface Waiting {
  readonly backlog: Pick<Backlog, 'bytes'>
  readonly spool: Pick<Collector, 'spoolAgeMs'>
  /** For how long the oldest hit of the log that is not in reports has waited. */
  readonly reportsBehindMs: () => Promise<number>
}

/** What tells how late hits are. */
export interface Lateness {
  /** False = nothing worth a question waits to be stored. */
  readonly isBusy: () => boolean
  /** For how long the oldest hit that is not in reports has waited, milliseconds. */
  readonly behindMs: () => Promise<number>
}

/** Hits of the spool are not in the log yet: reports that are up to date with it say nothing of them. */
export function latenessOf({ backlog, spool, reportsBehindMs }: Waiting): Lateness {
  return {
    isBusy: () => backlog.bytes() > BUSY_BYTES || spool.spoolAgeMs() > 0,
    behindMs: async () => Math.max(await reportsBehindMs(), spool.spoolAgeMs()),
  }
}

/**
 * Holds answers back while hits come in faster than they are stored: whoever sends the next hits when the last are answered
 * then sends as many as fit, and reports stay a few seconds behind. Hits are durable before, and those who do not wait for
 * answers are not slowed down: what they send waits in the log.
 */
export function paceAnswers({ isBusy, behindMs }: Lateness, { registry }: Pick<Server, 'registry'>): Pace {
  let holdBackMs = 0
  const gauge = new Gauge({
    name: 'millrace_answer_held_back_ms',
    help: 'Milliseconds for which answers to hits are held back, because reports are late',
    registers: [registry],
  })
  let [polls, wasBusy, bestMs, bestBeforeMs] = [0, false, Number.POSITIVE_INFINITY, 0]
  async function look(): Promise<void> {
    const busy = isBusy()
    wasBusy ||= busy
    bestMs = Math.min(bestMs, busy ? await behindMs() : 0)
    if (++polls % POLLS_TO_DECIDE > 0) return
    // When the rush is over nobody is to wait for what it left behind.
    holdBackMs = wasBusy ? nextHoldBack(holdBackMs, bestMs, bestBeforeMs) : 0
    gauge.set(holdBackMs)
    ;[wasBusy, bestMs, bestBeforeMs] = [false, Number.POSITIVE_INFINITY, bestMs]
  }
  return { holdBackMs: () => holdBackMs, close: lookEvery(POLL_MS, look) }
}

/** Milliseconds after those before, when reports are `behindMs` behind at best, and were `beforeMs`. While they catch up nothing changes. */
export function nextHoldBack(holdBackMs: number, behindMs: number, beforeMs: number): number {
  if (behindMs <= LATE_MS) return holdBackMs <= SHORTEST_MS ? 0 : Math.round(holdBackMs * FASTER)
  if (behindMs <= beforeMs) return holdBackMs
  return Math.min(LONGEST_MS, Math.round(Math.max(SHORTEST_MS, holdBackMs * SLOWER, behindMs * AT_LEAST)))
}
