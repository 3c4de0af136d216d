/** What a statement may take of the store: beyond it is ended with an error, so that nothing else starves. */
export const SQL_LIMITS = {
  /** Seconds. */
  max_execution_time: 30,
  timeout_overflow_mode: 'throw',
  /** Bytes; large groupings and sorts go to disk before, up to the next limit. */
  max_memory_usage: 1_000_000_000,
  max_bytes_before_external_group_by: 500_000_000,
  max_bytes_before_external_sort: 500_000_000,
  max_temporary_data_on_disk_size_for_query: 4_000_000_000,
  max_threads: 1,
  max_result_rows: 1_000_000,
  max_result_bytes: 100_000_000,
  result_overflow_mode: 'throw',
  /** Bytes of a statement in the engine's words, with everything in it escaped. */
  max_query_size: 1_000_000,
} as const

/** Lists of tables show the views; nothing else is anybody's business. */
export const SQL_FILTERS = {
  additional_table_filters:
    "{'system.tables': 'database = ''analytics''', 'system.columns': 'database = ''analytics''', 'system.databases': 'name = ''analytics'''}",
} as const

/** Longest statement that is taken, in bytes. */
export const MAX_SQL_BYTES = 128 * 1024
/** Statements that wait for their turn; further ones are refused. */
export const SQL_WAITING = 16
/** How long a statement waits. */
export const SQL_WAIT_MS = 30_000

/** ClickHouse's codes for what SQL_LIMITS stop: time, memory, rows and bytes, temporary files. */
export const SQL_LIMIT_CODES: readonly number[] = [158, 159, 160, 241, 243, 307, 396]

/** May be set lower than above. */
const LOWER = ['max_execution_time', 'max_memory_usage', 'max_result_rows', 'max_result_bytes'] as const

/** Change how an answer reads, and nothing else. */
const ALSO_ALLOWED = [
  'date_time_output_format',
  'session_timezone',
  'extremes',
  'join_use_nulls',
  'interval_output_format',
]
/** Names the file that a schema is written to. */
const DENIED = ['output_format_schema']

/** Whether people may set it, to whatever value. */
export const isFreeSetting = (name: string): boolean =>
  !DENIED.includes(name) && (name.startsWith('output_format_') || ALSO_ALLOWED.includes(name))

/** Whether people may set it, to a number from 1 to the limit. */
export const isLowerable = (name: string): name is (typeof LOWER)[number] => (LOWER as readonly string[]).includes(name)
