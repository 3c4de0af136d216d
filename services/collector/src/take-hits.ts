import type { ConfigBook } from '@millrace/config'
import { MillraceError } from '@millrace/shared'
import { isPrivate, networkOf } from './address-text.ts'
import type { Admission, Admitted, Asking } from './admit.ts'
import type { ClientAddress, RequestHeaders } from './client-address.ts'
import type { Facts } from './facts.ts'
import { readSignals } from './privacy-signals.ts'
import { type RateLimit, rateLimitHeaders } from './rate-limit.ts'
import { readCaller } from './read-caller.ts'
import type { FairSink } from './share-fairly.ts'
import { readSender, type SiteLine, stampLines, stampText } from './stamp-lines.ts'
import { stampVisitors } from './stamp-visitors.ts'
import type { ReadHits } from './validate-hits.ts'

/** What every route that takes hits works with. */
export interface Intake {
  readonly config: Pick<ConfigBook, 'at' | 'keyOf' | 'settingsOf'>
  readonly admission: Admission
  readonly addressOf: ClientAddress
  /** null = no limit. */
  readonly addressLimit: RateLimit | null
  /** Private addresses are limited too. */
  readonly limitsEveryAddress: boolean
  /** null = no limit. */
  readonly siteLimit: RateLimit | null
  readonly sink: Pick<FairSink, 'put'>
  /** Number of partitions of hits.raw. */
  readonly partitions: number
  /** Epoch milliseconds. */
  readonly clock: () => number
  readonly facts: Facts
  /** True from the moment on that no hit is taken any more. */
  readonly isClosing: () => boolean
  /** True while what was taken waits in too large a heap: no hit is taken for now. */
  readonly isFull: () => boolean
  /** How long senders wait for their answer beyond the moment at which their hits are durable, in milliseconds. */
  readonly holdBackMs: () => number
}

/** A request, before its hits are looked at. */
export interface Incoming {
  readonly headers: RequestHeaders
  readonly httpVersion: string
  readonly socketAddress: string | undefined
}

/** A request that may have its hits looked at. */
export interface Asked extends Asking {
  readonly ip: string
}

/** Too many hits of one address. Answered with what RateLimit says of it. */
export class AddressLimited extends MillraceError {
  readonly headers: Readonly<Record<string, string>>
  constructor(headers: Readonly<Record<string, string>>) {
    super('rate_limited', 'This address has sent too many hits; Retry-After says when it may send again.')
    this.headers = headers
  }
}

/**
 * Who sends, and whether that one may now: before anything is spent on the body.
 * @throws MillraceError shutting_down, overloaded, unauthorized, forbidden; AddressLimited
 */
export function ask(intake: Intake, { headers, socketAddress }: Incoming): Asked {
  if (intake.isClosing()) throw new MillraceError('shutting_down', 'The collector is shutting down.')
  if (intake.isFull()) throw new MillraceError('overloaded', 'Too many hits wait to be stored.')
  const caller = readCaller(intake.config, headers.authorization as string | undefined)
  const ip = intake.addressOf(socketAddress, headers)
  const asked: Asked = {
    caller,
    ip,
    origin: headers.origin as string | undefined,
    signals: readSignals(headers),
    nowMs: performance.now(),
  }
  const limit = limitOf(intake, asked)
  if (limit !== null && !limit.take(networkOf(ip), 1, asked.nowMs)) {
    throw new AddressLimited(rateLimitHeaders('address', limit, limit.quotaOf(networkOf(ip), asked.nowMs)))
  }
  return asked
}

/** A server speaks for many visitors; it is known by its key. */
function limitOf({ addressLimit, limitsEveryAddress }: Intake, { caller, ip }: Asked): RateLimit | null {
  if (addressLimit === null || caller !== null || ip === '') return null
  return limitsEveryAddress || !isPrivate(ip) ? addressLimit : null
}

/** What becomes of the hits of a request. */
export interface Kept {
  readonly admitted: Admitted
  /** Resolves when those that were taken are durable; null = none was. Rejects as HitSink.put does. */
  readonly durable: Promise<void> | null
}

/** Sorts out what the sites take, and hands it on to be made durable. Counts everything. */
export function keepHits(intake: Intake, read: ReadHits, asked: Asked, incoming: Incoming): Kept {
  const { facts } = intake
  const sent = read.hits.length + read.refused.length
  if (sent > 1) limitOf(intake, asked)?.charge(networkOf(asked.ip), sent - 1, asked.nowMs)
  // Before the settings are read: the enricher waits until it has read as far, and sees what was seen here, or later.
  const configAt = intake.config.at()
  const admitted = intake.admission.admit(read, asked)
  if (read.ignoredFields > 0) facts.fieldsIgnored(read.ignoredFields)
  if (admitted.refused.length > 0) facts.hitsRefused(admitted.refused)
  if (admitted.ignored.length > 0) facts.hitsIgnored(admitted.ignored)
  if (admitted.hits.length === 0) return { admitted, durable: null }
  return { admitted, durable: intake.sink.put(linesOf(intake, read, admitted, asked, incoming, configAt)) }
}

function linesOf(
  { clock, partitions }: Intake,
  { text, sentAt }: ReadHits,
  { hits }: Admitted,
  { ip, caller }: Asked,
  { httpVersion, headers }: Incoming,
  configAt: number,
): readonly SiteLine[] {
  const sender = readSender(ip, httpVersion, headers)
  if (caller !== null) return stampVisitors(hits, sentAt, sender, clock(), partitions, configAt)
  if (text !== null && text.hits === hits) return [stampText(text, sender, clock(), partitions, configAt)]
  return stampLines(hits, sentAt, sender, clock(), partitions, configAt)
}
