import type { SiteSettings } from '@millrace/shared'
import type { Session } from './sessions/session.ts'
import type { SeenAgent } from './steps/agent.ts'
import type { Rule } from './steps/bots.ts'
import type { Place } from './steps/place.ts'
import type { VisitorIds } from './steps/visitor.ts'

/** What the program that sent a line says of itself: the same for all who use it in the same language. */
export class Client {
  /** As it stands in a line, by which it is recognised; empty when it never is. */
  readonly bytes: Buffer
  readonly userAgent: string
  readonly acceptLanguage: string
  /** What the collector kept of the request's headers, by lower-case name; nothing in it is trusted to be a text. */
  readonly headers: Readonly<Record<string, unknown>>
  /** The id that a server gives its visitor, which makes a client of its own for each; '' = none. */
  readonly user: string
  /** What the pipeline has found out of it. */
  seen: SeenAgent | null = null

  constructor(bytes: Buffer, userAgent: string, headers: Readonly<Record<string, unknown>>, user: string) {
    this.bytes = bytes
    this.userAgent = userAgent
    const language = headers['accept-language']
    this.acceptLanguage = typeof language === 'string' ? language : ''
    this.headers = headers
    this.user = user
  }
}

/**
 * Who sent a line: the same for all of its hits, and for every line of the same visitor on the same site. There are very
 * many, so that each holds little of its own, and what every hit looks at stands together.
 */
export class Sender {
  /** Where Senders keeps the bytes of its address, and another sender whose address has the same hash. */
  addressAt = 0
  addressLength = 0
  next: Sender | null = null
  readonly client: Client
  /** Under which settings and secret it was read: under others it is read anew. */
  readonly settings: SiteSettings
  readonly secret: Buffer | null
  readonly site: string
  /** Holds the address too, and answers with hashes only. */
  readonly visitor: VisitorIds
  /** Bot rules that it breaks besides those of its client, and by which list of networks. */
  broken: readonly Rule[] | null = null
  judgedBy: object | undefined = undefined
  /** Where it is, and by which database. */
  place: Place | null = null
  placedBy: object | null = null
  /** Where the sessionizer found its sessions last; it checks whether they are still there. */
  session: Session | null = null
  /** As the collector normalised it; for the place and for networks, and never in a row. */
  readonly ip: string

  constructor(
    site: string,
    ip: string,
    client: Client,
    visitor: VisitorIds,
    settings: SiteSettings,
    secret: Buffer | null,
  ) {
    this.site = site
    this.ip = ip
    this.client = client
    this.visitor = visitor
    this.settings = settings
    this.secret = secret
  }
}
