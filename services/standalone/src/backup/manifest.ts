const FORMAT = 1
export const MANIFEST = 'backup.json'
export const CONFIG_FILE = 'config.json'
/** Folder of the engine, in the archive as in a data folder. */
export const CLICKHOUSE = 'clickhouse'

/** What a backup says of itself. It stands last in the archive: without it the backup is not whole. */
export interface BackupManifest {
  readonly format: number
  readonly build: string
  /** RFC 3339: every hit that was accepted before is in it. */
  readonly complete_until: string
  /** Epoch of the log whose hits these are; a restored installation begins the next one. */
  readonly epoch: number
  readonly partitions: number
  readonly hits: number
  readonly sessions: number
  readonly files: number
  readonly bytes: number
}

/** Records of millrace.config; values in base64. They are secrets. */
export type ConfigRecords = readonly { readonly key: string; readonly value: string }[]

export const encodeManifest = (manifest: Omit<BackupManifest, 'format'>): Buffer =>
  Buffer.from(`${JSON.stringify({ format: FORMAT, ...manifest }, null, 1)}\n`)

/** @throws Error for a backup of a newer version */
export function decodeManifest(bytes: Buffer): BackupManifest {
  const manifest = JSON.parse(bytes.toString()) as BackupManifest
  if (manifest.format !== FORMAT)
    throw new Error(`the backup has format ${manifest.format}; this version of Millrace reads ${FORMAT}`)
  return manifest
}
