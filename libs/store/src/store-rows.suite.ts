import {
  BlockWriter,
  type ColumnType,
  dayOfDate,
  HIT_COLUMNS,
  type HitRow,
  NO_ID,
  NO_UUID,
  SESSION_BLOCK_COLUMNS,
  type SessionRow,
} from '@millrace/shared'

/** Noon of a date, epoch milliseconds. */
export const noon = (date: string): number => Date.parse(`${date}T12:00:00Z`)

/** 0, '' and the like for every column. */
function blank(columns: Readonly<Record<string, ColumnType>>): Record<string, unknown> {
  const value = (name: string, type: ColumnType): unknown => {
    if (name === 'visitor_id' || name === 'session_id') return NO_ID
    if (type === 'Bool') return false
    if (type === 'UUID') return NO_UUID
    if (type.startsWith('Map')) return {}
    if (type.startsWith('Enum8')) return /'(\w+)'/.exec(type)![1]
    return type.includes('String') ? '' : 0
  }
  return Object.fromEntries(Object.entries(columns).map(([name, type]) => [name, value(name, type)]))
}

const BLANK_HIT = blank(HIT_COLUMNS) as HitRow
const BLANK_SESSION = blank(SESSION_BLOCK_COLUMNS) as SessionRow

/** A kept page view at noon of `date`. Say only what matters to the test. */
export function hitRow(date: string, fields: Partial<HitRow> = {}): HitRow {
  const time = noon(date)
  return {
    ...BLANK_HIT,
    site: 'blog',
    day: dayOfDate(date),
    time,
    received_at: time,
    path: '/',
    ...fields,
  }
}

/** The row that says: everything of `kp` up to `ko` is here, for one month. */
export const hitMarker = (date: string, kp: number, ko: number): HitRow =>
  hitRow(`${date.slice(0, 7)}-01`, { site: '', path: '', verdict: 'marker', kp, ko })

/** A state of a session that began on `date`. */
export function sessionRow(date: string, fields: Partial<SessionRow> = {}): SessionRow {
  const start = noon(date)
  return { ...BLANK_SESSION, site: 'blog', day: dayOfDate(date), start, end: start, version: 1, sign: 1, ...fields }
}

/** The marker among sessions. */
export const sessionMarker = (date: string, kp: number, ko: number): SessionRow =>
  sessionRow(`${date.slice(0, 7)}-01`, { site: '', session_id: kp.toString(16).padStart(16, '0'), version: ko, kp, ko })

/** One Native block of rows. */
export function hitBlock(rows: Iterable<HitRow>, columns: Readonly<Record<string, ColumnType>> = HIT_COLUMNS): Buffer {
  return blockOf(columns, rows)
}
export const sessionBlock = (rows: Iterable<SessionRow>): Buffer => blockOf(SESSION_BLOCK_COLUMNS, rows)

function blockOf<Row extends object>(columns: Readonly<Record<string, ColumnType>>, rows: Iterable<Row>): Buffer {
  const writer = new BlockWriter<Row>(columns)
  for (const row of rows) writer.append(row)
  return Buffer.from(writer.finish())
}
