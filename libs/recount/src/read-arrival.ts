import { readFileSync } from 'node:fs'
import { getDomain } from 'tldts'

/** Where a visit came from; '' = not said. Only page views and events bring one. */
export interface Arrival {
  /** Name of the other site that the visitor came from. */
  readonly source: string
  readonly utm: readonly string[]
}

const UTM = ['utm_source', 'utm_medium', 'utm_campaign', 'utm_content', 'utm_term']
const LONGEST_VALUE = 200

/** Names of hosts and apps. The table is data and the same one; how it is read is written here a second time. */
const table = readFileSync(new URL('../../../services/enricher/data/sources.tsv', import.meta.url), 'utf8')
const rows = table
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'))
const namedHosts = rows.flatMap(([name, , hosts]) => hosts!.split(' ').map((host) => ({ name: name!, host })))
const namedApps = rows.flatMap(([name, , , apps]) => apps!.split(' ').map((app) => ({ name: name!, app })))

/** How a visitor came, of a site that says nothing of its own. */
export function readArrival(page: URL | undefined, referrer: unknown): Arrival {
  if (!page) return { source: '', utm: UTM.map(() => '') }
  const { source, isInternal } = sourceOf(referrer, page.hostname)
  const first = (name: string): string => page.searchParams.getAll(name).find((value) => value !== '') ?? ''
  const utm = UTM.map(first)
  // `source` and `ref` stand for utm_source, but not on links within the site.
  if (!isInternal) utm[0] ||= first('source') || first('ref')
  return { source, utm: utm.map((value) => masked(Buffer.from(value.slice(0, LONGEST_VALUE)).toString())) }
}

function sourceOf(referrer: unknown, pageHost: string): { source: string; isInternal: boolean } {
  const none = { source: '', isInternal: false }
  if (typeof referrer !== 'string' || !URL.canParse(referrer)) return none
  const { protocol, hostname } = new URL(referrer)
  if (!['http:', 'https:', 'android-app:', 'ios-app:'].includes(protocol)) return none
  if (hostname === '' || hostname.length > 253) return none
  if (protocol === 'android-app:') return { source: nameOfApp(hostname), isInternal: false }
  if (hostname === pageHost || siteOf(hostname) === siteOf(pageHost)) return { source: '', isInternal: true }
  return { source: nameOfHost(hostname), isInternal: false }
}

const siteOf = (host: string): string => getDomain(host, { allowPrivateDomains: true }) ?? host

const nameOfApp = (app: string): string =>
  namedApps.find((row) => row.app.toLowerCase() === app.toLowerCase())?.name ?? app.replace(/^www\./, '')

/** The row that names the longest end of the host; `.*` stands for a top-level domain, or one such as `co.uk`. */
function nameOfHost(host: string): string {
  const fitting = namedHosts
    .filter((row) => row.host !== '' && isBelow(host, row.host))
    .sort((a, b) => b.host.split('.').length - a.host.split('.').length)
  return fitting[0]?.name ?? host.replace(/^www\./, '')
}

function isBelow(host: string, named: string): boolean {
  if (!named.endsWith('.*')) return host === named || host.endsWith(`.${named}`)
  const start = named.slice(0, -2)
  const label = `.${host}`.lastIndexOf(`.${start}.`)
  if (label === -1) return false
  return /^(?:[a-z]{2,3}|(?:co|com|net|org)\.[a-z]{2})$/.test(host.slice(label + start.length + 1))
}

/** E-mail addresses are no part of what is kept. (Card numbers are masked too; no test sends one as a campaign.) */
const masked = (value: string): string =>
  value.replace(/[\p{L}\p{N}._%+-]+@(?:[\p{L}\p{N}-]+\.)+\p{L}{2,}/gu, '[email]')
