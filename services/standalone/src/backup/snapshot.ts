/** The embedded store as it is at one moment, in its files: parts by hard links, the rest by name. */
import { readdirSync, readlinkSync, rmSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Store } from '@millrace/store'
import type { TarWriter } from './tar.ts'

/** Also the name of a folder, in which the engine escapes what is no letter, digit or underscore. */
const NAME = 'millrace_backup'
/** Of the engine's folder; what it makes anew by itself. */
const LEFT_OUT = new Set(['shadow', 'tmp', 'preprocessed_configs', 'status', 'flags'])

type Item =
  | { readonly type: 'file'; readonly name: string; readonly path: string; readonly size: number }
  | { readonly type: 'folder'; readonly name: string }
  | { readonly type: 'link'; readonly name: string; readonly target: string }

/** What takeSnapshot found. The files stay as they are until release(). */
export interface Snapshot {
  readonly items: readonly Item[]
  readonly bytes: number
  release(): void
}

/**
 * Fixes the state of every table. Nothing may be inserted, moved or deleted while it runs, merges may go on; afterwards the
 * store does what it likes. `dir` is the engine's folder.
 */
export async function takeSnapshot(store: Pick<Store, 'query' | 'command'>, dir: string): Promise<Snapshot> {
  const shadow = join(dir, 'shadow', NAME)
  const release = (): void => rmSync(shadow, { recursive: true, force: true })
  release() // of one that was killed
  const tables = await store.query<{ name: string; paths: string[] }>(
    `SELECT name, data_paths AS paths FROM system.tables WHERE database = 'millrace' AND engine LIKE '%MergeTree' ORDER BY name`,
  )
  try {
    for (const { name } of tables) await store.command(`ALTER TABLE millrace.\`${name}\` FREEZE WITH NAME '${NAME}'`)
    const data = new Set(tables.flatMap(({ paths }) => paths.map((path) => relative(dir, path).replace(/\/$/, ''))))
    const items = [...itemsOf(dir, '', (name) => data.has(name)), ...itemsOf(shadow, '', () => false)]
    const bytes = items.reduce((sum, item) => sum + (item.type === 'file' ? item.size : 0), 0)
    return { items, bytes, release }
  } catch (error) {
    release()
    throw error
  }
}

/** Everything below a folder. Of a table's own folder only what stands beside its parts. */
function itemsOf(root: string, below: string, isTable: (name: string) => boolean): Item[] {
  return readdirSync(join(root, below), { withFileTypes: true }).flatMap((entry): Item[] => {
    const name = below === '' ? entry.name : `${below}/${entry.name}`
    const path = join(root, name)
    if (below === '' && LEFT_OUT.has(entry.name)) return []
    if (entry.isSymbolicLink()) return [{ type: 'link', name, target: readlinkSync(path) }]
    if (entry.isFile()) return [{ type: 'file', name, path, size: statSync(path).size }]
    if (!entry.isDirectory()) return []
    if (isTable(name)) return tableItems(path, name)
    return [{ type: 'folder', name }, ...itemsOf(root, name, isTable)]
  })
}

function tableItems(path: string, name: string): Item[] {
  const version = join(path, 'format_version.txt')
  return [
    { type: 'folder', name },
    { type: 'folder', name: `${name}/detached` },
    { type: 'file', name: `${name}/format_version.txt`, path: version, size: statSync(version).size },
  ]
}

/** Writes the snapshot below `folder` of the archive. */
export async function writeSnapshot({ items }: Snapshot, tar: TarWriter, folder: string): Promise<void> {
  for (const item of items) {
    const name = `${folder}/${item.name}`
    if (item.type === 'file') await tar.file(name, item.path, item.size)
    else if (item.type === 'folder') await tar.folder(name)
    else await tar.link(name, item.target)
  }
}
