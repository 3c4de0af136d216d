import type { Target } from '@millrace/store'
import type { Link } from './chain.ts'
import { HITS } from './evidence.ts'
import { type KoBySlice, type Marks, sliceKey } from './slices.ts'

/** Accepted records whose rows of one month are not in a target that others were filled with. */
export interface Shortfall {
  readonly target: Target
  readonly month: number
  readonly links: readonly Link[]
}

/** What the store and the log show of a partition whose position is gone. */
export interface Traces {
  /** The accepted records that the log still has. */
  readonly chain: readonly Link[]
  readonly marks: Marks
  /** Largest offsets in `hits`, which keeps no marks. */
  readonly hits: KoBySlice
  /** Largest offset of the partition anywhere in the store. */
  readonly maxKo: number
}

/**
 * What the last flush left out if it was interrupted. Flushes come one after the other and fill a slice (target, kp,
 * month) as a whole: so each slice holds the log up to its mark, and lacks the records between there and `maxKo`.
 */
export function shortfallsOf(kp: number, targets: readonly Target[], traces: Traces): Shortfall[] {
  const held = traces.chain.filter((link) => link.srcFrom <= traces.maxKo)
  return targets.flatMap((target) => {
    const rowsOf = (link: Link) => (target.source === 'hits_in' ? link.hitRows : link.sessionRows)
    const months = new Set(held.flatMap((link) => Object.keys(rowsOf(link)).map(Number)))
    return [...months].flatMap((month) => {
      const mark = markOf(target, sliceKey({ kp, month }), targets, traces)
      const links = held.filter((link) => rowsOf(link)[month] !== undefined && link.srcFrom > mark)
      return links.length > 0 ? [{ target, month, links }] : []
    })
  })
}

/** hits ends where its last row is, unless rows were deleted: other targets of its flush ended later, and that flush is complete. */
function markOf(target: Target, slice: string, targets: readonly Target[], { marks, hits, maxKo }: Traces): number {
  if (target.name !== HITS) return marks.get(target.name)?.get(slice) ?? -1
  const neighbours = targets
    .filter(({ source, name }) => source === target.source && name !== HITS)
    .map(({ name }) => marks.get(name)?.get(slice) ?? -1)
  return Math.max(hits.get(slice) ?? -1, ...neighbours.filter((mark) => mark < maxKo))
}
