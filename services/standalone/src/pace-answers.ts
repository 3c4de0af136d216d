import { Gauge, type Server } from '@millrace/server'
import { lookEvery } from './look-every.ts'

const POLL_MS = 250
/** Reports fall behind while a batch is gathered and inserted; how far they are behind at best tells whether the store keeps up. */
const POLLS_TO_DECIDE = 8
/** Reports that are further behind than this at best are late. */
const LATE_MS = 1_200
const SLOWER = 2
const FASTER = 0.8
const SHORTEST_MS = 8
/** Far below the patience of senders. */
const LONGEST_MS = 500

/** How long answers are held back, while somebody follows how late reports are. */
export interface Pace {
  /** Milliseconds from the moment at which hits are durable until their sender is told; 0 = none. */
  holdBackMs(): number
  close(): void
}

/** What tells how late reports are. */
export interface Lateness {
  /** False = nothing worth a question waits to be stored. */
  readonly isBusy: () => boolean
  /** Epoch milliseconds up to which every hit is in reports. */
  readonly completeUntil: () => Promise<number>
  readonly clock: () => number
}

/**
 * Holds answers back while hits come in faster than they are stored: whoever sends the next hits when the last are answered
 * then sends as many as fit, and reports stay a few seconds behind. Hits are durable before, and those who do not wait for
 * answers are not slowed down: what they send waits in the log.
 */
export function paceAnswers({ isBusy, completeUntil, clock }: Lateness, { registry }: Pick<Server, 'registry'>): Pace {
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
    bestMs = Math.min(bestMs, busy ? clock() - (await completeUntil()) : 0)
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
  return Math.min(LONGEST_MS, Math.max(SHORTEST_MS, holdBackMs * SLOWER))
}
