import { CLUSTER_INSERT_SETTINGS, type Store } from '@millrace/store'

/** What inserts of rebuilds and deletions begin their log_comment with, so that leftovers of a dead process can be ended. */
export const REBUILD_COMMENT = 'rebuild='

/** What an insert of the one that has the lease needs. */
interface InsertTools {
  readonly store: Pick<Store, 'command' | 'cluster'>
  /** Time of the store's clock after which it is refused, epoch ms; null = never. */
  readonly deadline: () => number | null
}

/** Sends an INSERT ... SELECT. Nothing is deduplicated: two rows that are the same are two hits. */
export async function insertAlone(
  { store, deadline }: InsertTools,
  id: string,
  sql: string,
  params: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  const until = deadline()
  await store.command(sql, {
    params,
    settings: {
      insert_deduplicate: 0,
      insert_deduplication_token: '',
      async_insert: 0,
      log_comment: `${REBUILD_COMMENT}${id}${until === null ? '' : ` deadline=${until}`}`,
      ...(store.cluster !== '' && CLUSTER_INSERT_SETTINGS),
    },
  })
}
