export { CLUSTER_COMMAND_SETTINGS, CLUSTER_INSERT_SETTINGS } from './cluster.ts'
export { migrate, SchemaMismatch } from './migrate.ts'
export { openStore, type StoreOptions } from './open-store.ts'
export {
  openSqlConsole,
  type SqlAnswer,
  type SqlConsole,
  type SqlConsoleOptions,
  type SqlScope,
  type SqlSession,
} from './sql-console.ts'
export { identifier, literal } from './sql-text.ts'
export {
  type BlockInsert,
  type CommandOptions,
  type QueryOptions,
  type Slice,
  type Store,
  StoreRefused,
  StoreUnavailable,
  type Target,
  VIOLATED_CONSTRAINT,
} from './store.ts'
export { selectFrom } from './view-source.ts'
