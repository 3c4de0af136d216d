import type { StoredRecord } from '@millrace/log'
import {
  CONFIG,
  dateOfDay,
  decodeEnriched,
  HITS_DEAD,
  HITS_ENRICHED,
  HITS_RAW,
  readRows,
  SALTS,
} from '@millrace/shared'

/** What stands in place of a value that tells who somebody is. */
const MASKED = '(masked)'
/** What stands in place of a secret. Nothing shows it. */
const SECRET = '(secret)'

/** Fields of lines and hits that tell, or help to tell, who somebody is. */
const PERSONAL = ['ip', 'user_agent', 'user']

/** A record as JSON: formats of ours decoded; `personal` shows addresses, user agents, user ids and headers. */
export function showRecord(
  topic: string,
  partition: number,
  record: StoredRecord,
  personal: boolean,
): Record<string, unknown> {
  const { offset, timestamp } = record
  return { topic, partition, offset, timestamp: new Date(timestamp).toISOString(), ...show(topic, record, personal) }
}

function show(topic: string, record: StoredRecord, personal: boolean): Record<string, unknown> {
  if (topic === HITS_RAW.name)
    return {
      lines: textOf(record.value)
        .split('\n')
        .filter(Boolean)
        .map((line) => showLine(line, personal)),
    }
  if (topic === HITS_ENRICHED.name) return showEnriched(record)
  if (topic === HITS_DEAD.name) return showDead(record, personal)
  const key = record.key?.toString() ?? null
  if (topic === SALTS.name) return { key, value: record.value === null ? null : SECRET }
  if (topic === CONFIG.name)
    return { key, value: record.value === null ? null : showConfig(key ?? '', parsed(textOf(record.value))) }
  return { key, bytes: record.value?.length ?? 0 }
}

function showLine(text: string, personal: boolean): unknown {
  const line = parsed(text)
  if (line === undefined) return personal ? { unreadable: text } : { unreadable: MASKED }
  return personal ? line : withoutPersons(line)
}

/** The same without values that tell who somebody is: of headers the names alone stay. */
function withoutPersons(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(withoutPersons)
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => {
      if (PERSONAL.includes(name)) return [name, MASKED]
      if (name === 'headers' && typeof one === 'object' && one !== null)
        return [name, Object.fromEntries(Object.keys(one).map((header) => [header, MASKED]))]
      return [name, withoutPersons(one)]
    }),
  )
}

function showEnriched(record: StoredRecord): Record<string, unknown> {
  try {
    const { hits, sessions, srcFrom, srcTo, streamTime, hitRows, sessionRows, ...rest } = decodeEnriched(record)
    return {
      ...rest,
      ...{ src_from: srcFrom, src_to: srcTo, stream_time: new Date(streamTime).toISOString() },
      ...{ hit_rows: hitRows, session_rows: sessionRows, hits: rowsOf(hits), sessions: rowsOf(sessions) },
    }
  } catch (error) {
    return { unreadable: (error as Error).message }
  }
}

const TIMES = new Set(['time', 'received_at', 'start', 'end', 'entry_at', 'exit_at'])

const rowsOf = (block: Buffer): Record<string, unknown>[] =>
  readRows<Record<string, unknown>>(block).map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([name, value]) => {
        if (name === 'day') return [name, dateOfDay(value as number)]
        return [name, TIMES.has(name) ? new Date(value as number).toISOString() : value]
      }),
    ),
  )

function showDead({ value, headers }: StoredRecord, personal: boolean): Record<string, unknown> {
  const said = Object.fromEntries(Object.entries(headers).map(([name, bytes]) => [name, bytes.toString()]))
  return { from: said, bytes: value?.length ?? 0, text: personal ? textOf(value) : MASKED }
}

/** Settings of sites and goals; of keys what they may do. */
function showConfig(key: string, value: unknown): unknown {
  if (key.startsWith('installation')) return SECRET
  if (!key.startsWith('key/') || typeof value !== 'object' || value === null) return value
  return { ...value, ...('hash' in value && { hash: SECRET }) }
}

const textOf = (value: Buffer | null): string => value?.toString('utf8') ?? ''

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
