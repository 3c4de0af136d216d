import type { QueryOptions, Store } from '@millrace/store'

/** What one query may take of the store: above it is ended with an error, so that nothing else starves. */
const QUERY_LIMITS = {
  /** Seconds. */
  max_execution_time: 30,
  timeout_overflow_mode: 'throw',
  /** Bytes. Large groupings go to disk before they come near it. */
  max_memory_usage: 2_000_000_000,
  max_bytes_before_external_group_by: 1_000_000_000,
  max_bytes_before_external_sort: 1_000_000_000,
  max_threads: 2,
  /** A larger set of ids is looked up row by row: to compare it with each range of the key first takes far longer. */
  use_index_for_in_with_subqueries_max_values: 1_000,
  /** Bytes. Few of a granule's bytes belong to one column: of 128 KB, the default, most would be read in vain. */
  max_read_buffer_size_local_fs: 32_768,
  /** Nearly all rows fit all conditions, or few of each granule fit: read one by one, they only take longer. */
  enable_multiple_prewhere_read_steps: 0,
  /** Bytes. Ids and paths fill 1 MB, the default, with a few granules: a sixth of the time went into going from one block to the next. */
  preferred_block_size_bytes: 4_000_000,
} as const

/** Asks the store, every query within QUERY_LIMITS; ends them when the signal says so. */
export function withinLimits(store: Pick<Store, 'query'>, signal?: AbortSignal): Pick<Store, 'query'> {
  return {
    query: <Row>(sql: string, options: QueryOptions = {}) =>
      store.query<Row>(sql, {
        ...options,
        settings: { ...QUERY_LIMITS, ...options.settings },
        ...(signal && { signal }),
      }),
  }
}

/** ClickHouse's codes for what QUERY_LIMITS stop: TIMEOUT_EXCEEDED, MEMORY_LIMIT_EXCEEDED. */
export const LIMIT_CODES: readonly number[] = [159, 241]
