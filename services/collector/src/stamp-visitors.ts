import type { WireHit } from '@millrace/shared'
import { type Sender, type SiteLine, stampLines } from './stamp-lines.ts'
import { visitorOfHit } from './visitor-of-hit.ts'

interface Visit {
  readonly visitor: Sender
  readonly hits: WireHit[]
}

/**
 * As stampLines, for a sender with an ingest key: a request may hold the hits of many visitors, and each gets lines of its
 * own. Takes the hits over.
 */
export function stampVisitors(
  hits: readonly WireHit[],
  sentAt: number | undefined,
  request: Sender,
  collectedAt: number,
  partitions: number,
  configAt: number,
): SiteLine[] {
  const lines: SiteLine[] = []
  for (const { visitor, hits: ofVisitor } of groupByVisitor(hits, request)) {
    lines.push(...stampLines(ofVisitor, sentAt, visitor, collectedAt, partitions, configAt))
  }
  return lines
}

function groupByVisitor(hits: readonly WireHit[], request: Sender): Iterable<Visit> {
  const visits = new Map<string, Visit>()
  for (const hit of hits) {
    const visitor: Sender = { ...visitorOfHit(hit, request), user: hit.user }
    const key = JSON.stringify(visitor)
    const visit = visits.get(key)
    if (visit) visit.hits.push(hit)
    else visits.set(key, { visitor, hits: [hit] })
    leaveToTheLine(hit)
  }
  return visits.values()
}

/** A field that is undefined is not written. */
function leaveToTheLine(hit: WireHit): void {
  hit.ip = undefined
  hit.user_agent = undefined
  hit.headers = undefined
  hit.user = undefined
}
