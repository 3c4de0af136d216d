import type { EventLog, LogAdmin } from '@millrace/log'
import {
  accessOf,
  describeRoutes,
  type FastifyReply,
  type FastifyRequest,
  isForSite,
  type Server,
} from '@millrace/server'
import { type FieldError, HITS_RAW, MillraceError, SITE_PATTERN } from '@millrace/shared'
import type { Store } from '@millrace/store'
import { askStore } from '../query/ask-store.ts'
import type { QueryFacts } from '../query/facts.ts'
import { type Balance, balanceOf, countRows } from './balance.ts'
import { type LedgerQuery, type LedgerRow, type LedgerTotals, readLedger, totalsOf } from './ledger.ts'
import { LEDGER_OPERATIONS } from './operations.ts'

export interface LedgerApi {
  readonly server: Pick<Server, 'app' | 'registry' | 'logger'>
  readonly store: Store
  readonly log: Pick<EventLog, 'admin' | 'epoch'>
  /** Every hit of the log that came before this time (epoch ms) is counted. */
  readonly completeUntil: () => Promise<number>
  readonly clock?: () => number
}

const HOUR_MS = 3_600_000
/** About as long as raw hits stay in the log. */
const DEFAULT_HOURS = 48
const MAX_HOURS = 24 * 400

/** A flush that is under way shows month by month: what looks uneven is looked at again. */
const LOOKS = 5
const BETWEEN_LOOKS_MS = 300

/** Adds GET /v1/ledger. Guard it with the scope `read`, and call this before the server listens. */
export function registerLedgerApi(api: LedgerApi): void {
  const { logger } = api.server
  // The histogram of queries is the query API's.
  const facts: QueryFacts = {
    answered: () => undefined,
    storeFailed: (error) => logger.error({ err: error }, 'the store could not answer for the ledger'),
  }
  describeRoutes(api.server.app, LEDGER_OPERATIONS)
  const admin = api.log.admin()
  api.server.app.addHook('onClose', () => admin.close())
  api.server.app.get('/v1/ledger', async (request, reply) => {
    const asked = readRequest(request, (api.clock ?? Date.now)())
    const asking = { api: { ...api, settings: NO_SETTINGS }, facts }
    const { answered, completeUntil } = await askStore<Ledger>(asking, reply, async (store) => {
      const balance = asked.balance ? await readBalance(store, await api.log.epoch(), admin) : null
      return makeLedger(asked, store, balance)
    })
    return sendLedger(answered, completeUntil, reply)
  })
}

const NO_SETTINGS = { MILLRACE_TIMEZONE: 'UTC' } as const

interface Asked extends LedgerQuery {
  readonly balance: boolean
}

interface Ledger {
  readonly source?: never
  readonly query: { readonly sites: readonly string[]; readonly from: string; readonly to: string }
  readonly rows: readonly LedgerRow[]
  readonly totals: LedgerTotals
  readonly balance?: Balance
}

async function makeLedger(asked: Asked, store: Pick<Store, 'query'>, balance: Balance | null): Promise<Ledger> {
  const rows = await readLedger(store, asked)
  const query = {
    sites: asked.sites,
    from: new Date(asked.fromMs).toISOString(),
    to: new Date(asked.toMs).toISOString(),
  }
  return { query, rows, totals: totalsOf(rows), ...(balance && { balance }) }
}

function sendLedger(answered: Ledger, complete_until: string, reply: FastifyReply): FastifyReply {
  return reply.header('cache-control', 'no-store').send({ ...answered, complete_until })
}

/** The balance of all sites; a difference counts when it stays. */
async function readBalance(store: Pick<Store, 'query'>, epoch: number, admin: LogAdmin): Promise<Balance> {
  for (let look = 1; ; look++) {
    const low = await admin.lowOffsets(HITS_RAW.name)
    const end = await admin.endOffsets(HITS_RAW.name)
    const balance = balanceOf(await countRows(store, { epoch, low, end }), { epoch, low, end })
    if (balance.balanced || look === LOOKS) return balance
    await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS))
  }
}

const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)$/
const KNOWN = ['site', 'from', 'to', 'balance']
const SITE = new RegExp(SITE_PATTERN)

/** @throws MillraceError query_invalid, forbidden */
function readRequest(request: FastifyRequest, nowMs: number): Asked {
  const parameters = request.query as Record<string, unknown>
  const errors: FieldError[] = []
  const wrong = (name: string, detail: string): void =>
    void errors.push({ code: KNOWN.includes(name) ? 'field_invalid' : 'field_unknown', pointer: `/${name}`, detail })
  for (const [name, value] of Object.entries(parameters)) {
    if (!KNOWN.includes(name)) wrong(name, `the ledger has ${KNOWN.join(', ')}`)
    else if (typeof value !== 'string') wrong(name, 'comes twice')
  }
  const { site, from, to, balance = 'true' } = parameters as Record<string, string | undefined>
  const hour = (name: string, text: string | undefined, fallback: number): number => {
    if (text === undefined) return fallback
    const ms = /^\d{5,16}$/.test(text) ? Number(text) : RFC_3339.test(text) ? Date.parse(text) : Number.NaN
    if (!Number.isFinite(ms)) wrong(name, 'must be a time: RFC 3339, or epoch milliseconds')
    return Math.floor(ms / HOUR_MS) * HOUR_MS
  }
  const toMs = hour('to', to, Math.floor(nowMs / HOUR_MS) * HOUR_MS + HOUR_MS)
  const fromMs = hour('from', from, toMs - DEFAULT_HOURS * HOUR_MS)
  if (fromMs >= toMs || toMs - fromMs > MAX_HOURS * HOUR_MS) wrong('from', 'must lie 1 hour to 400 days before to')
  if (site !== undefined && typeof site === 'string' && !SITE.test(site)) wrong('site', 'must be the id of a site')
  if (!['true', 'false', '1', '0'].includes(String(balance))) wrong('balance', 'must be true or false')
  if (errors.length > 0) {
    const told = errors.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')
    throw new MillraceError('query_invalid', `The ledger cannot be asked so: ${told}.`, errors)
  }
  const access = accessOf(request)
  if (site !== undefined && !isForSite(access, site))
    throw new MillraceError('forbidden', 'The key is not for this site.')
  return {
    sites: site === undefined ? access.sites : [site],
    ...{ fromMs, toMs },
    // The log is everybody's.
    balance: access.sites.length === 0 && (balance === 'true' || balance === '1'),
  }
}
