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
import { readSender, stampBody, stampLines } from './stamp-lines.ts'
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
 * @throws MillraceError shutting_down, unauthorized, forbidden; AddressLimited
 */
export function ask(intake: Intake, { headers, socketAddress }: Incoming): Asked {
  if (intake.isClosing()) throw new MillraceError('shutting_down', 'The collector is shutting down.')
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

/**
 * Sorts out what the sites take, and resolves when that is durable. Counts everything.
 * @throws MillraceError overloaded, log_unavailable, shutting_down
 */
export async function keepHits(intake: Intake, read: ReadHits, asked: Asked, incoming: Incoming): Promise<Admitted> {
  const { facts } = intake
  const sent = read.hits.length + read.refused.length
  if (sent > 1) limitOf(intake, asked)?.charge(networkOf(asked.ip), sent - 1, asked.nowMs)
  // Before the settings are read: the enricher waits until it has read as far, and sees what was seen here, or later.
  const configAt = intake.config.at()
  const admitted = intake.admission.admit(read, asked)
  if (read.ignoredFields > 0) facts.fieldsIgnored(read.ignoredFields)
  if (admitted.refused.length > 0) facts.hitsRefused(admitted.refused)
  if (admitted.ignored.length > 0) facts.hitsIgnored(admitted.ignored)
  const { hits } = admitted
  if (hits.length === 0) return admitted
  // Counted now: stamping takes the hits over.
  const count = hits.length
  const sender = readSender(asked.ip, incoming.httpVersion, incoming.headers)
  const { clock, partitions } = intake
  const { whole } = read
  if (whole !== null && asked.caller === null) {
    await intake.sink.put([stampBody(whole, sender, clock(), partitions, configAt)])
  } else {
    const stamp = asked.caller === null ? stampLines : stampVisitors
    await intake.sink.put(stamp(hits, read.sentAt, sender, clock(), partitions, configAt))
  }
  facts.hitsAccepted(count)
  return admitted
}
