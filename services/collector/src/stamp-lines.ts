import {
  KEPT_HEADERS,
  partitionFor,
  RAW_LINE_VERSION,
  type RawLine,
  type StampedHit,
  type WireHit,
} from '@millrace/shared'
import { uuidv7 } from 'uuidv7'
import type { ListText } from './validate-hits.ts'

/** Site of hits that name none. */
export const DEFAULT_SITE = 'default'
/** Characters of a header that a line keeps. Every reader sees the same cut text, so hashes agree. */
export const MAX_HEADER_LENGTH = 1_024
export const MAX_USER_AGENT_LENGTH = 2_048

/** Who sent a request; or whom a server speaks for. */
export interface Sender {
  readonly ip: string
  readonly userAgent: string
  readonly headers: Record<string, string>
  /** `secret`: it came with an ingest key. */
  readonly trust: RawLine['trust']
  /** The server's own id of the visitor, where the site allows it. */
  readonly user?: string | undefined
}

/** One line of hits.raw, without its line feed, and where it goes. */
export interface PartitionLine {
  readonly partition: number
  readonly text: string
  readonly hits: number
}

/** A line of which the site is known. */
export interface SiteLine extends PartitionLine {
  readonly site: string
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
    trust: 'public',
  }
}

const cut = (text: string, length: number): string => (text.length > length ? text.slice(0, length) : text)

/**
 * One line for each site and sending time among the hits of a request, as a rule one in all. Takes the hits over: they
 * lose what the line says and get a `hit_id` where they have none. `configAt`: offset up to which millrace.config had been
 * read when they were admitted.
 */
export function stampLines(
  hits: readonly WireHit[],
  sentAt: number | undefined,
  sender: Sender,
  collectedAt: number,
  partitions: number,
  configAt: number,
): SiteLine[] {
  return groupBySiteAndTime(hits, sentAt).map((group) => {
    const list = JSON.stringify(group.hits)
    return lineOf(group.site, group.sentAt, list, group.hits.length, sender, collectedAt, partitions, configAt)
  })
}

/** As stampLines, for hits whose text goes into the line as it was sent, with what the line says too. */
export function stampText(
  { hits, sentAt, list }: ListText,
  sender: Sender,
  collectedAt: number,
  partitions: number,
  configAt: number,
): SiteLine {
  return lineOf(hits[0]!.site ?? DEFAULT_SITE, sentAt, list, hits.length, sender, collectedAt, partitions, configAt)
}

/** The fields of a RawLine, written by hand: most of them need no quoting, and a list of hits may be text already. */
function lineOf(
  site: string,
  sentAt: number | undefined,
  list: string,
  hits: number,
  sender: Sender,
  collectedAt: number,
  partitions: number,
  configAt: number,
): SiteLine {
  const { ip, userAgent, user } = sender
  const text =
    `{"v":${RAW_LINE_VERSION},"collected_at":${collectedAt},"config_at":${configAt},"site":"${site}",` +
    `"trust":"${sender.trust}","ip":${JSON.stringify(ip)},"user_agent":${JSON.stringify(userAgent)},` +
    `"headers":${JSON.stringify(sender.headers)},${user === undefined ? '' : `"user":${JSON.stringify(user)},`}` +
    `${sentAt === undefined ? '' : `"sent_at":${sentAt},`}"hits":${list}}`
  return { partition: partitionOf(site, ip, userAgent, user, partitions), site, text, hits }
}

/** The partition of a line: all hits of one sender on one site are on one. */
export const partitionOf = (
  site: string,
  ip: string,
  userAgent: string,
  user: string | undefined,
  partitions: number,
): number => partitionFor(site, user ?? `${ip}\0${userAgent}`, partitions)

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
