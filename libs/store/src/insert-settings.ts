/** Above every batch (200,000 rows, 64 MB; a batch above 256 MB is split before it comes here). */
const ROWS = 100_000_000
const BYTES = 16 * 1024 ** 3

/**
 * Every setting that decides how an insert is cut, checked or repeated, always all of them: embedded ClickHouse keeps
 * settings for the session, servers have profiles, and defaults moved between releases (async_insert, deduplication).
 * Names that a release does not know are left out (see knownSettings), but for REQUIRED.
 */
export const INSERT_SETTINGS: Readonly<Record<string, string | number>> = {
  // No deduplication: the flush's plan and watermarks do that. A token left from another insert drops rows silently.
  insert_deduplication_token: '',
  insert_deduplicate: 0,
  deduplicate_insert: 'disable',
  deduplicate_insert_select: 'disable',
  insert_select_deduplicate: 0,
  deduplicate_blocks_in_dependent_materialized_views: 0,
  // The answer comes after the parts of all targets exist, or is an error.
  async_insert: 0,
  materialized_views_ignore_errors: 0,
  ignore_materialized_views_with_dropped_target_table: 0,
  insert_distributed_sync: 1,
  // One block from end to end, so one part per target and month.
  max_threads: 1,
  max_insert_threads: 1,
  parallel_view_processing: 0,
  input_format_parallel_parsing: 0,
  max_block_size: ROWS,
  max_insert_block_size: ROWS,
  max_insert_block_size_bytes: 0,
  use_strict_insert_block_limits: 0,
  min_insert_block_size_rows: ROWS,
  min_insert_block_size_bytes: BYTES,
  min_insert_block_size_rows_for_materialized_views: ROWS,
  min_insert_block_size_bytes_for_materialized_views: BYTES,
  preferred_block_size_bytes: 0,
  optimize_trivial_insert_select: 0,
  group_by_two_level_threshold: 0,
  group_by_two_level_threshold_bytes: 0,
  max_bytes_before_external_group_by: 0,
  max_bytes_ratio_before_external_group_by: 0,
  // Rows that cancel or add up inside the block are stored once.
  optimize_on_insert: 1,
  max_partitions_per_insert_block: 100,
  throw_on_max_partitions_per_insert_block: 1,
  // Older blocks lack columns: those get defaults. Columns that the table lacks are an error: nothing is dropped silently.
  input_format_skip_unknown_fields: 0,
  input_format_defaults_for_omitted_fields: 1,
  input_format_native_allow_types_conversion: 1,
  input_format_native_decode_types_in_binary_format: 0,
  use_structure_from_insertion_table_in_table_functions: 0,
  session_timezone: '',
  max_execution_time: 0,
}

/** Settings without which an insert could lose or double rows: a ClickHouse that does not know them is refused. */
export const REQUIRED: readonly string[] = [
  'insert_deduplication_token',
  'insert_deduplicate',
  'async_insert',
  'materialized_views_ignore_errors',
  'max_threads',
  'max_insert_threads',
  'max_block_size',
  'max_insert_block_size',
  'min_insert_block_size_rows',
  'min_insert_block_size_bytes',
]
