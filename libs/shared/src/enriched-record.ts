/**
 * A record of hits.enriched. Value: the hit rows as one Native block (HIT_COLUMNS). Header `sessions`: a second block
 * (SESSION_BLOCK_COLUMNS) with the state before (sign -1) and after (+1) of every session that the batch touched.
 *
 * The chain: a reader accepts a record if and only if its `prev` is the offset of the last record that it accepted.
 */
export interface EnrichedRecord {
  readonly schema: number
  /** Offset in hits.enriched of the last record accepted by the writer; -1 = none. */
  readonly prev: number
  /** Last accepted record with stream time below S - X when this was written: where a restore starts; -1 = none. */
  readonly from: number
  /** First and last offset of hits.raw that this record covers, both included. */
  readonly srcFrom: number
  readonly srcTo: number
  /** S: largest received_at of the partition after this batch, epoch milliseconds. */
  readonly streamTime: number
  readonly rows: number
  /** Hit rows by the month of `day` (202611), and signed session rows likewise: which slices a record fills, without decoding it. */
  readonly hitRows: RowsByMonth
  readonly sessionRows: RowsByMonth
  /** Versions of what made the rows. */
  readonly build: string
  readonly geo: string
  readonly config: number
  readonly hits: Buffer
  readonly sessions: Buffer
}

/** Number of rows by month, as in `{ 202611: 40 }`. Months without rows are left out. */
export type RowsByMonth = Readonly<Record<number, number>>

const NUMBERS = {
  schema: 'schema',
  prev: 'prev',
  from: 'from',
  srcFrom: 'src_from',
  srcTo: 'src_to',
  streamTime: 'stream_time',
  rows: 'rows',
  config: 'config',
} as const

/** The log record (value, headers, timestamp) of an enriched batch. */
export function encodeEnriched(record: EnrichedRecord): {
  key: null
  value: Buffer
  headers: Record<string, Buffer>
  timestamp: number
} {
  const headers: Record<string, Buffer> = {}
  for (const [field, name] of Object.entries(NUMBERS))
    headers[name] = Buffer.from(String(record[field as keyof typeof NUMBERS]))
  headers.build = Buffer.from(record.build)
  headers.geo = Buffer.from(record.geo)
  headers.hit_rows = Buffer.from(JSON.stringify(record.hitRows))
  headers.session_rows = Buffer.from(JSON.stringify(record.sessionRows))
  headers.sessions = record.sessions
  return { key: null, value: record.hits, headers, timestamp: record.streamTime }
}

/** Reads back what `encodeEnriched` wrote. @throws Error when a header is missing or no number */
export function decodeEnriched(stored: {
  value: Buffer | null
  headers: Readonly<Record<string, Buffer>>
}): EnrichedRecord {
  const number = (name: string): number => {
    const value = Number(stored.headers[name]?.toString())
    if (!Number.isSafeInteger(value)) throw new Error(`enriched record: header ${name} is missing or no whole number`)
    return value
  }
  if (stored.value === null) throw new Error('enriched record: no value')
  return {
    schema: number('schema'),
    prev: number('prev'),
    from: number('from'),
    srcFrom: number('src_from'),
    srcTo: number('src_to'),
    streamTime: number('stream_time'),
    rows: number('rows'),
    hitRows: rowsByMonth('hit_rows', stored.headers.hit_rows),
    sessionRows: rowsByMonth('session_rows', stored.headers.session_rows),
    build: stored.headers.build?.toString() ?? '',
    geo: stored.headers.geo?.toString() ?? '',
    config: number('config'),
    hits: stored.value,
    sessions: stored.headers.sessions ?? Buffer.alloc(0),
  }
}

function rowsByMonth(name: string, header: Buffer | undefined): RowsByMonth {
  const rows = JSON.parse(header?.toString() ?? 'null') as unknown
  const whole = (n: unknown): boolean => Number.isSafeInteger(Number(n)) && Number(n) > 0
  if (
    rows === null ||
    typeof rows !== 'object' ||
    !Object.entries(rows).every(([month, n]) => whole(month) && whole(n))
  )
    throw new Error(`enriched record: header ${name} is missing or no list of rows by month`)
  return rows as RowsByMonth
}
