import type { LogLine } from '@millrace/testing'

/** What a start after a kill said of the state that it found. */
export interface Recovery {
  /** A planned insert was not complete: slices were missing. */
  readonly insideInsert: boolean
  /** Some slices of it were there and some not. */
  readonly partialInsert: boolean
  /** The log ended in the middle of a frame. */
  readonly insideAppend: boolean
  /** What it said of plans that it found open and of torn tails. */
  readonly evidence: readonly string[]
}

/** Reads a recovery from the product's own log lines. */
export function readRecovery(lines: readonly LogLine[]): Recovery {
  const flushes = lines.filter(({ fields }) => String(fields.msg).startsWith('recovered flush'))
  const doubtful = flushes.filter(({ fields }) => Number(fields.missing) > 0)
  const cuts = lines.filter(({ fields }) => fields.kind === 'tail_cut')
  return {
    insideInsert: doubtful.length > 0,
    partialInsert: doubtful.some(({ fields }) => Number(fields.missing) < Number(fields.slices)),
    insideAppend: cuts.length > 0,
    evidence: [...flushes, ...cuts].map(({ fields }) => String(fields.msg)),
  }
}
