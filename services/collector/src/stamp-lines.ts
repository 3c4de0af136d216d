import {
  KEPT_HEADERS,
  partitionFor,
  RAW_LINE_VERSION,
  type RawLine,
  type StampedHit,
  type WireHit,
} from '@millrace/shared'
import { uuidv7 } from 'uuidv7'

/** Site of hits that name none. */
const DEFAULT_SITE = 'default'
/** Characters of a header that a line keeps. Every reader sees the same cut text, so hashes agree. */
const MAX_HEADER_LENGTH = 1_024
const MAX_USER_AGENT_LENGTH = 2_048

/** Who sent a request. */
export interface Sender {
  readonly ip: string
  readonly userAgent: string
  readonly headers: Record<string, string>
}

/** One line of hits.raw, without its line feed, and where it goes. */
export interface PartitionLine {
  readonly partition: number
  readonly text: string
  readonly hits: number
}

/** What a line keeps of a request's headers. */
export function readSender(
  ip: string,
  httpVersion: string,
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Sender {
  const kept: Record<string, string> = {}
  for (const name of KEPT_HEADERS) {
    const value = headers[name]
    if (value !== undefined) kept[name] = cut(value as string, MAX_HEADER_LENGTH)
  }
  kept['http-version'] = httpVersion
  return {
    ip,
    userAgent: cut((headers['user-agent'] as string | undefined) ?? '', MAX_USER_AGENT_LENGTH),
    headers: kept,
  }
}

const cut = (text: string, length: number): string => (text.length > length ? text.slice(0, length) : text)

/**
 * One line for each site and sending time among the hits of a request, as a rule one in all. Takes the hits over: they
 * lose what the line says and get a `hit_id` where they have none.
 */
export function stampLines(
  hits: readonly WireHit[],
  sentAt: number | undefined,
  sender: Sender,
  collectedAt: number,
  partitions: number,
): PartitionLine[] {
  const groups = groupBySiteAndTime(hits, sentAt)
  return groups.map((group) => {
    const line: RawLine = {
      v: RAW_LINE_VERSION,
      collected_at: collectedAt,
      config_at: -1,
      site: group.site,
      trust: 'public',
      ip: sender.ip,
      user_agent: sender.userAgent,
      headers: sender.headers,
      ...(group.sentAt !== undefined && { sent_at: group.sentAt }),
      hits: group.hits,
    }
    return { partition: partitionOf(line, partitions), text: JSON.stringify(line), hits: group.hits.length }
  })
}

/** The partition of a line: all hits of one sender on one site are on one. */
export const partitionOf = ({ site, ip, user_agent, user }: RawLine, partitions: number): number =>
  partitionFor(site, user ?? `${ip}\0${user_agent}`, partitions)

interface Group {
  readonly site: string
  readonly sentAt: number | undefined
  readonly hits: StampedHit[]
}

function groupBySiteAndTime(hits: readonly WireHit[], sentAt: number | undefined): Group[] {
  const groups: Group[] = []
  for (const hit of hits) {
    const site = hit.site ?? DEFAULT_SITE
    const time = hit.sent_at ?? sentAt
    let group = groups.find((known) => known.site === site && known.sentAt === time)
    if (!group) {
      group = { site, sentAt: time, hits: [] }
      groups.push(group)
    }
    group.hits.push(stamp(hit))
  }
  return groups
}

/** In place: a field that is undefined is not written, and costs less than a copy without it. */
function stamp(hit: WireHit): StampedHit {
  if (hit.site !== undefined) Object.assign(hit, { site: undefined })
  if (hit.sent_at !== undefined) Object.assign(hit, { sent_at: undefined })
  hit.hit_id ??= uuidv7()
  return hit as StampedHit
}
