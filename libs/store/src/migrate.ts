import { CLUSTER_COMMAND_SETTINGS, CLUSTER_INSERT_SETTINGS, onCluster } from './cluster.ts'
import { MIGRATIONS_DIR, type Migration, readMigrations } from './migration-files.ts'
import { holdSchemaLock } from './schema-lock.ts'
import { literal } from './sql-text.ts'
import type { Store } from './store.ts'

/** The database's schema and this program's migrations do not fit. Nothing was changed. */
export class SchemaMismatch extends Error {
  override readonly name = 'SchemaMismatch'
}

interface Applied {
  version: number
  name: string
  sha256: string
}

const BOOTSTRAP = [
  'CREATE DATABASE IF NOT EXISTS millrace',
  `CREATE TABLE IF NOT EXISTS millrace.schema_migrations (
     version UInt32, name String, sha256 String, applied_at DateTime64(3, 'UTC') DEFAULT now64(3)
   ) ENGINE = MergeTree ORDER BY version SETTINGS fsync_after_insert = 1, fsync_part_directory = 1`,
]

/**
 * Brings the store's schema to this program's version. Repeating it changes nothing; after a kill in the middle, or while
 * another process does the same, it is completed: statements can be run again, and a lock lets one process work at a time.
 * @throws SchemaMismatch when an applied migration was changed since, or the database is newer than this program
 */
export async function migrate(store: Store, options: { dir?: string } = {}): Promise<{ applied: number[] }> {
  const migrations = readMigrations(options.dir ?? MIGRATIONS_DIR)
  for (const statement of BOOTSTRAP) await define(store, statement)
  if (missingOf(migrations, await readApplied(store)).length === 0) return { applied: [] }
  const applyMissing = async (renew: () => Promise<void>): Promise<{ applied: number[] }> => {
    const missing = missingOf(migrations, await readApplied(store))
    for (const migration of missing) await apply(store, migration, renew)
    return { applied: missing.map((m) => m.version) }
  }
  return store.shared ? holdSchemaLock(store, applyMissing) : applyMissing(async () => undefined)
}

/** On a cluster: on all of its replicas. */
async function define(store: Store, statement: string): Promise<void> {
  if (store.cluster === '') return store.command(statement)
  await store.command(onCluster(statement, store.cluster), { settings: CLUSTER_COMMAND_SETTINGS })
}

async function apply(
  store: Store,
  { version, name, sha256, statements }: Migration,
  renew: () => Promise<void>,
): Promise<void> {
  for (const statement of statements) {
    await define(store, statement)
    await renew()
  }
  await store.command(
    `INSERT INTO millrace.schema_migrations (version, name, sha256) VALUES (${version}, ${literal(name)}, ${literal(sha256)})`,
    {
      settings: {
        async_insert: 0,
        insert_deduplication_token: '',
        ...(store.cluster !== '' && CLUSTER_INSERT_SETTINGS),
      },
    },
  )
}

/** Two processes may both have applied one: the same row twice means no more than once. */
const readApplied = (store: Store): Promise<Applied[]> =>
  store.query<Applied>('SELECT DISTINCT version, name, sha256 FROM millrace.schema_migrations ORDER BY version')

/** What is to be applied. @throws SchemaMismatch */
function missingOf(migrations: readonly Migration[], applied: readonly Applied[]): readonly Migration[] {
  const ours = new Map(migrations.map((m) => [m.version, m]))
  for (const { version, name, sha256 } of applied) {
    const own = ours.get(version)
    if (!own) {
      throw new SchemaMismatch(
        `the database has migration ${version} (${name}), this program knows ${migrations.length}: run a newer version of Millrace`,
      )
    }
    if (own.sha256 !== sha256) {
      throw new SchemaMismatch(
        `migration ${version} (${name}) was changed after it was applied: restore its file, and add a new one instead`,
      )
    }
  }
  const done = new Set(applied.map((a) => a.version))
  return migrations.filter((m) => !done.has(m.version))
}
