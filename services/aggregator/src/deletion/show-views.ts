import { CLUSTER_COMMAND_SETTINGS, literal, type Store } from '@millrace/store'

type Defining = Pick<Store, 'query' | 'command' | 'cluster'>

/**
 * Lets the views of `analytics` read what is shown while anything is hidden, and the tables themselves while nothing is.
 * Does nothing when they do already.
 */
export async function showViews(store: Defining, hidden: boolean): Promise<void> {
  const views = await store.query<{ name: string; text: string }>(
    `SELECT name, as_select AS text FROM system.tables
     WHERE database = 'analytics' AND engine = 'View' AND name != 'ledger' ORDER BY name`,
  )
  for (const { name, text } of views) {
    const wanted = text.replace(
      /\bmillrace\.(?:shown_)?(hits|sessions)\b/g,
      hidden ? 'millrace.shown_$1' : 'millrace.$1',
    )
    if (wanted === text) continue
    const on = store.cluster === '' ? '' : ` ON CLUSTER ${literal(store.cluster)}`
    const settings = store.cluster === '' ? {} : CLUSTER_COMMAND_SETTINGS
    await store.command(`CREATE OR REPLACE VIEW analytics.${name}${on} AS ${wanted}`, { settings })
  }
}
