import { describe, expect, it } from 'vitest'
import { onCluster } from './cluster.ts'
import { MIGRATIONS_DIR, readMigrations } from './migration-files.ts'

const PATH = "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"

describe('onCluster', () => {
  it.each([
    ['CREATE DATABASE IF NOT EXISTS a', "CREATE DATABASE IF NOT EXISTS a ON CLUSTER 'c'"],
    ['DROP TABLE IF EXISTS a.t', "DROP TABLE IF EXISTS a.t ON CLUSTER 'c' SYNC"],
    ['ALTER TABLE a.t ADD COLUMN x UInt8', "ALTER TABLE a.t ON CLUSTER 'c' ADD COLUMN x UInt8"],
    [
      'CREATE TABLE IF NOT EXISTS a.t (x UInt8) ENGINE = Null',
      "CREATE TABLE IF NOT EXISTS a.t ON CLUSTER 'c' (x UInt8) ENGINE = Null",
    ],
    [
      'CREATE TABLE IF NOT EXISTS a.t (x UInt8) ENGINE = MergeTree\nORDER BY x SETTINGS non_replicated_deduplication_window = 0',
      `CREATE TABLE IF NOT EXISTS a.t ON CLUSTER 'c' (x UInt8) ENGINE = ReplicatedMergeTree(${PATH})\nORDER BY x SETTINGS replicated_deduplication_window = 0`,
    ],
    [
      'CREATE TABLE IF NOT EXISTS a.t (x UInt8) ENGINE = VersionedCollapsingMergeTree(sign, version) ORDER BY x SETTINGS fsync_after_insert = 1',
      `CREATE TABLE IF NOT EXISTS a.t ON CLUSTER 'c' (x UInt8) ENGINE = ReplicatedVersionedCollapsingMergeTree(${PATH}, sign, version) ORDER BY x SETTINGS fsync_after_insert = 1, min_compressed_bytes_to_fsync_after_fetch = 1`,
    ],
    [
      'CREATE MATERIALIZED VIEW IF NOT EXISTS a.v TO a.t AS\nSELECT x FROM a.s',
      "CREATE MATERIALIZED VIEW IF NOT EXISTS a.v ON CLUSTER 'c' TO a.t AS\nSELECT x FROM a.s",
    ],
    ['CREATE OR REPLACE VIEW a.v AS SELECT 1', "CREATE OR REPLACE VIEW a.v ON CLUSTER 'c' AS SELECT 1"],
    [
      'ALTER TABLE a.v MODIFY QUERY\nSELECT x FROM a.s',
      "ALTER TABLE a.v ON CLUSTER 'c' MODIFY QUERY\nSELECT x FROM a.s",
    ],
    ['CREATE VIEW IF NOT EXISTS a.v AS SELECT 1', "CREATE VIEW IF NOT EXISTS a.v ON CLUSTER 'c' AS SELECT 1"],
  ])('makes of %s', (statement, expected) => {
    expect(onCluster(statement, 'c')).toBe(expected)
  })

  it('quotes the name of the cluster', () => {
    expect(onCluster('CREATE DATABASE IF NOT EXISTS a', "c'd")).toBe(
      "CREATE DATABASE IF NOT EXISTS a ON CLUSTER 'c\\'d'",
    )
  })

  it('refuses what it does not know', () => {
    expect(() => onCluster('OPTIMIZE TABLE a.t', 'c')).toThrow(/ON CLUSTER/)
  })

  it('knows every statement of the migrations, and leaves no table on one replica alone', () => {
    for (const { statements } of readMigrations(MIGRATIONS_DIR)) {
      for (const statement of statements) {
        const rendered = onCluster(statement, 'c')
        expect(rendered).toContain(" ON CLUSTER 'c'")
        expect(rendered).not.toMatch(/ENGINE = (?!Replicated)\w*MergeTree/)
        expect(rendered).not.toContain('non_replicated')
      }
    }
  })
})
