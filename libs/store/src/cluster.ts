import { literal } from './sql-text.ts'

/** Of inserts on a cluster: a part counts when most replicas have it, so that losing one replica loses nothing. */
export const CLUSTER_INSERT_SETTINGS = {
  insert_quorum: 'auto',
  insert_quorum_parallel: 1,
  insert_quorum_timeout: 60_000,
} as const

/** Of statements ON CLUSTER: an error of any replica is an error. */
export const CLUSTER_COMMAND_SETTINGS = {
  distributed_ddl_output_mode: 'throw',
  distributed_ddl_task_timeout: 100,
} as const

/** Replicas know each other by the table's name, not by a UUID: one that is added later joins them. */
const PATH = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
const DDL =
  /^(CREATE (?:DATABASE|TABLE|MATERIALIZED VIEW|VIEW) IF NOT EXISTS|CREATE OR REPLACE VIEW|DROP (?:DATABASE|TABLE|VIEW) IF EXISTS|ALTER TABLE) ([\w.]+)/

/**
 * A statement of a migration for one shard of replicas: ON CLUSTER, with Replicated engines. Parts that a replica fetches
 * are synced to disk too. @throws Error for a statement that it does not know how to change
 */
export function onCluster(statement: string, cluster: string): string {
  const match = DDL.exec(statement)
  if (!match) throw new Error(`not a statement that can run ON CLUSTER: ${statement.slice(0, 60)}`)
  const [head, verb, name] = match as unknown as [string, string, string]
  const rest = statement.slice(head.length)
  const sync = verb.startsWith('DROP') ? ' SYNC' : ''
  return `${verb} ${name} ON CLUSTER ${literal(cluster)}${replicated(rest)}${sync}`
}

function replicated(text: string): string {
  return text
    .replace(/\bENGINE = ((?!Replicated)\w*MergeTree)(?:\(([^)]*)\))?/, (_, engine: string, args = '') => {
      return `ENGINE = Replicated${engine}(${args === '' ? PATH : `${PATH}, ${args}`})`
    })
    .replace('non_replicated_deduplication_window = 0', 'replicated_deduplication_window = 0')
    .replace('fsync_after_insert = 1', 'fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1')
}
