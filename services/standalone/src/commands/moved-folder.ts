/** The folder that `millrace export` writes and `millrace import` reads. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FORMAT = 1
const MANIFEST = 'manifest.json'
export const TOPICS_FILE = 'topics.json'

/** A file of rows of one kp and month, in ClickHouse's Native format; chunks are in the order of their import. */
export interface MovedChunk {
  readonly file: string
  readonly table: 'hits_in' | 'sessions_in'
  readonly kp: number
  readonly month: number
  readonly rows: number
  readonly koFrom: number
  readonly koTo: number
}

/** What the folder holds. It is written last: without it the export was interrupted. */
export interface Manifest {
  readonly format: number
  readonly id: string
  readonly build: string
  /** The largest log epoch that the rows are of. */
  readonly epoch: number
  readonly hits: number
  readonly sessions: number
  readonly chunks: readonly MovedChunk[]
}

/** Sites, keys and salts, as base64. They are secrets. */
export interface MovedTopics {
  readonly config: readonly { key: string; value: string }[]
  readonly salts: readonly { key: string; value: string; made_at: number }[]
}

export const manifestPath = (folder: string): string => join(folder, MANIFEST)

export const encodeManifest = (manifest: Omit<Manifest, 'format'>): string =>
  `${JSON.stringify({ format: FORMAT, ...manifest }, null, 1)}\n`

/** @throws Error with a sentence when the folder is no finished export, or one of a newer version */
export function readManifest(folder: string): Manifest {
  let text: string
  try {
    text = readFileSync(manifestPath(folder), 'utf8')
  } catch {
    throw new Error(`${folder} holds no finished export: ${MANIFEST} is missing`)
  }
  const manifest = JSON.parse(text) as Manifest
  if (manifest.format !== FORMAT)
    throw new Error(`${folder} has format ${manifest.format}; this version of Millrace reads ${FORMAT}`)
  return manifest
}
