import type { Cluster } from '../../../infra/cluster/cluster.mjs'
import { namesSomebody } from '../check/read-log.ts'

/** What the services' own log lines say of the faults that reached them, counted. */
export type Evidence = Readonly<Record<string, number>>

type Fields = Readonly<Record<string, unknown>>

/** How often a kind of line stands in the logs: each line counts 1, or as much as it says. */
const KINDS: readonly [name: string, service: string, message: RegExp, count?: (fields: Fields) => number][] = [
  ['partitions restored', 'enricher', /^partition restored/],
  ['own records beaten by another writer', 'enricher', /^another writer was first/],
  ['appends in doubt, repeated', 'enricher', /^append in doubt/],
  ['commits refused', 'enricher', /^commit refused/],
  [
    'records of others rejected by the chain',
    'aggregator',
    /^enriched records rejected/,
    ({ records }) => Number(records),
  ],
  ['inserts in doubt', 'aggregator', /^insert in doubt/],
  ['plans refused', 'aggregator', /^plan not committed/],
  ['flushes recovered', 'aggregator', /^recovered flush/],
  ['of these with slices missing', 'aggregator', /^recovered flush/, ({ missing }) => (Number(missing) > 0 ? 1 : 0)],
  [
    'of these only some slices',
    'aggregator',
    /^recovered flush/,
    ({ missing, slices }) => (Number(missing) > 0 && Number(missing) < Number(slices) ? 1 : 0),
  ],
  [
    'kills inside an insert: plans found open, rows missing',
    'aggregator',
    /^recovered flush/,
    ({ cause, missing }) => (cause === 'open_plan' && Number(missing) > 0 ? 1 : 0),
  ],
  ['started without a position', 'aggregator', /^no committed position/],
  ['flushes completed without their plan', 'aggregator', /^an interrupted flush was completed/],
  ['partitions stopped', 'aggregator', /^partition stopped/],
  ['partitions stopped by the enricher', 'enricher', /^partition stopped/],
  ['times that hits went to the spool', 'collector', /^the log does not take hits in time/],
  ['kills inside an append: batches written and not answered', 'collector', /^hits of the spool were in the log/],
  [
    'spooled hits that were in the log already',
    'collector',
    /^hits of the spool were in the log/,
    ({ hits }) => Number(hits),
  ],
]

/** Reads all that the services wrote. `named` are those that wrote an address or a user agent. */
export async function readEvidence(
  cluster: Cluster,
  services: readonly string[],
): Promise<{ evidence: Evidence; named: string[] }> {
  const counts = Object.fromEntries(KINDS.map(([name]) => [name, 0])) as Record<string, number>
  const named: string[] = []
  for (const service of services) {
    const text = await cluster.logOf(service)
    if (namesSomebody(text)) named.push(service)
    for (const fields of text.split('\n').map(parsed)) {
      for (const [name, kind, message, count = () => 1] of KINDS) {
        if (service.startsWith(`${kind}-`) && message.test(String(fields.msg))) counts[name]! += count(fields)
      }
    }
  }
  return { evidence: counts, named }
}

function parsed(line: string): Fields {
  try {
    return line.startsWith('{') ? JSON.parse(line) : {}
  } catch {
    return {} // cut off by a kill
  }
}
