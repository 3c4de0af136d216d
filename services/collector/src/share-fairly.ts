import { MillraceError } from '@millrace/shared'
import type { Facts } from './facts.ts'
import type { HitSink } from './hit-sink.ts'
import type { PartitionLine, SiteLine } from './stamp-lines.ts'

export interface ShareLimits {
  /** As long as fewer bytes are in flight, nobody waits for a turn: enough that the log is never idle. */
  readonly shareAboveBytes: number
  /** What may be in flight and wait, of all sites together. */
  readonly maxInFlightBytes: number
  /** While the oldest of a site has waited this long, the site gets nothing more in: whoever came behind it would wait longer. */
  readonly maxWaitMs: number
}

export const SHARE_ABOVE_BYTES = 1 << 20
/** Far above what waits while the log keeps up, far below the patience of senders. */
export const MAX_WAIT_MS = 1_000

/** Bytes that a site gets in, on its turn. */
const TURN_BYTES = 16 * 1024

/** The sink behind it, which says how full it is. */
export interface CrowdedSink extends HitSink {
  inFlightBytes(): number
  /** `listener` is called whenever in-flight bytes have become fewer. */
  onRoom(listener: () => void): void
  close(): Promise<void>
}

export interface FairSink {
  /**
   * As HitSink.put. Lines of one site keep their order.
   * @throws MillraceError overloaded: what the site has waiting is as much as there is room for others, or has waited too long
   */
  put(lines: readonly SiteLine[]): Promise<void>
  /** What waits goes in at once; then it closes the sink behind it. */
  close(): Promise<void>
}

interface Waiting {
  readonly lines: readonly PartitionLine[]
  readonly bytes: number
  /** By the clock. */
  readonly since: number
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** What waits of one site, oldest first. */
interface SiteQueue {
  readonly site: string
  waiting: Waiting[]
  /** Index of the oldest in `waiting`. */
  head: number
  bytes: number
  /** Bytes that it may still send in its turn. */
  credit: number
}

/**
 * Lets sites take turns when more comes in than the log takes (deficit round robin, Shreedhar and Varghese 1995): a site
 * that sends little waits for one turn of the others, not for their queues. A site may have as much waiting as there is
 * room left (dynamic thresholds, Choudhury and Hahne 1998), so there is always room for the next one, and one site that
 * floods is the first to be told `overloaded`. `clock`: milliseconds.
 */
export function shareFairly(
  sink: CrowdedSink,
  limits: ShareLimits,
  facts: Pick<Facts, 'queuedBytes'>,
  clock: () => number = () => performance.now(),
): FairSink {
  const sites = new Map<string, SiteQueue>()
  /** Queues that are not empty, by turn. */
  let turns: SiteQueue[] = []
  let queuedBytes = 0
  let draining = false
  let closed = false
  const maxQueuedBytes = limits.maxInFlightBytes - limits.shareAboveBytes
  sink.onRoom(drain)

  function put(lines: readonly SiteLine[]): Promise<void> {
    if (closed || (queuedBytes === 0 && sink.inFlightBytes() < limits.shareAboveBytes)) return sink.put(lines)
    const { site } = lines[0]!
    if (lines.every((line) => line.site === site)) return enqueue(site, lines)
    return Promise.all([...bySite(lines)].map(([one, ofSite]) => enqueue(one, ofSite))).then(() => undefined)
  }

  function enqueue(site: string, lines: readonly PartitionLine[]): Promise<void> {
    const bytes = lines.reduce((sum, { text }) => sum + text.length, 0)
    const queue = sites.get(site) ?? addSite(site)
    const since = clock()
    const isLate = queue.bytes > 0 && since - queue.waiting[queue.head]!.since > limits.maxWaitMs
    if (isLate || queue.bytes + bytes > maxQueuedBytes - queuedBytes) {
      if (queue.bytes === 0) removeSite(queue)
      return Promise.reject(new MillraceError('overloaded', 'Too many hits of this site wait for the log.'))
    }
    queue.bytes += bytes
    queuedBytes += bytes
    facts.queuedBytes(queuedBytes)
    return new Promise((resolve, reject) => {
      queue.waiting.push({ lines, bytes, since, resolve, reject })
      drain()
    })
  }

  function addSite(site: string): SiteQueue {
    const queue: SiteQueue = { site, waiting: [], head: 0, bytes: 0, credit: TURN_BYTES }
    sites.set(site, queue)
    turns.push(queue)
    return queue
  }

  function removeSite(queue: SiteQueue): void {
    sites.delete(queue.site)
    turns = turns.filter((other) => other !== queue)
  }

  /** Not from within itself: a sink that refuses at once has room at once. */
  function drain(): void {
    if (draining || closed) return
    draining = true
    while (queuedBytes > 0 && sink.inFlightBytes() < limits.shareAboveBytes) takeTurn()
    draining = false
  }

  /** One request of the site whose turn it is. */
  function takeTurn(): void {
    const queue = nextQueue()
    const { lines, bytes, resolve, reject } = queue.waiting[queue.head++]!
    queue.bytes -= bytes
    queue.credit -= bytes
    queuedBytes -= bytes
    facts.queuedBytes(queuedBytes)
    sink.put(lines).then(resolve, reject)
    if (queue.head === queue.waiting.length) {
      sites.delete(queue.site)
      turns.shift()
    } else compact(queue)
  }

  /** When the credit of a site is used up, the turn is the next one's. A large request is paid for in several turns. */
  function nextQueue(): SiteQueue {
    for (;;) {
      const queue = turns[0]!
      if (queue.credit > 0) return queue
      queue.credit += TURN_BYTES
      turns.push(turns.shift()!)
    }
  }

  function close(): Promise<void> {
    closed = true
    while (queuedBytes > 0) takeTurn()
    return sink.close()
  }

  return { put, close }
}

/** Gives back the places of those that are through. */
function compact(queue: SiteQueue): void {
  if (queue.head < 1_024 || queue.head * 2 < queue.waiting.length) return
  queue.waiting = queue.waiting.slice(queue.head)
  queue.head = 0
}

function bySite(lines: readonly SiteLine[]): Map<string, SiteLine[]> {
  const sites = new Map<string, SiteLine[]>()
  for (const line of lines) {
    const ofSite = sites.get(line.site)
    if (ofSite) ofSite.push(line)
    else sites.set(line.site, [line])
  }
  return sites
}
