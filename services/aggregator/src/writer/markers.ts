import {
  BlockWriter,
  type ColumnType,
  firstDayOfMonth,
  HIT_COLUMNS,
  type HitRow,
  NO_UUID,
  SESSION_BLOCK_COLUMNS,
  type SessionRow,
} from '@millrace/shared'
import { type Expected, type KoBySlice, sliceKey } from './slices.ts'

/** A row with every column at its zero. */
function blankRow<Row>(columns: Readonly<Record<string, ColumnType>>): Row {
  const row: Record<string, unknown> = {}
  for (const [name, type] of Object.entries(columns)) row[name] = zeroOf(type)
  return row as Row
}

function zeroOf(type: ColumnType): unknown {
  if (type.startsWith('Map')) return {}
  if (type.startsWith('Enum8')) return /'([^']+)'/.exec(type)![1]
  if (type === 'UUID') return NO_UUID
  if (type === 'Bool') return false
  return type === 'String' || type === 'LowCardinality(String)' ? '' : 0
}

/** A hit row with every column at its zero. */
export const BLANK_HIT = blankRow<HitRow>(HIT_COLUMNS)
/** A session row with every column at its zero. */
export const BLANK_SESSION = blankRow<SessionRow>(SESSION_BLOCK_COLUMNS)

/** Kept from flush to flush: making one takes longer than all that it writes here. */
const hits = new BlockWriter<HitRow>(HIT_COLUMNS)
const sessions = new BlockWriter<SessionRow>(SESSION_BLOCK_COLUMNS)

/** The marker rows that close the block of a flush into hits_in: one per kp and month. Empty when there are none. */
export function hitMarkers(slices: readonly Expected[]): Buffer {
  for (const { kp, month, koTo } of slices)
    hits.append({ ...BLANK_HIT, verdict: 'marker', day: firstDayOfMonth(month), kp, ko: koTo })
  return hits.finish()
}

/**
 * The marker rows of a flush into sessions_in: one per kp and month, and the -1 of the marker that was live there
 * before, so that collapsing keeps one. `live` is what was there before this flush.
 */
export function sessionMarkers(slices: readonly Expected[], live: KoBySlice): Buffer {
  for (const slice of slices) {
    const before = live.get(sliceKey(slice))
    if (before !== undefined && before < slice.koTo) sessions.append(sessionMarker(slice, before, -1))
    sessions.append(sessionMarker(slice, slice.koTo, 1))
  }
  return sessions.finish()
}

/** `version` has 32 bits only; equal offsets give equal versions, and that is all that collapsing needs. */
function sessionMarker({ kp, month }: Expected, ko: number, sign: 1 | -1): SessionRow {
  return {
    ...BLANK_SESSION,
    day: firstDayOfMonth(month),
    session_id: kp.toString(16).padStart(16, '0'),
    version: ko % 2 ** 32,
    sign,
    kp,
    ko,
  }
}
