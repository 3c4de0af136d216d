import { mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile, UNFINISHED } from './durable-file.ts'
import { encodePreamble } from './segment.ts'

/** How a topic is stored: its spec with the number of partitions settled. Names as in TopicSpec. */
export interface StoredSpec {
  readonly name: string
  readonly partitions: number
  readonly cleanup: 'delete' | 'compact'
  readonly retentionMs: number
  readonly segmentMs: number
  readonly timestamps: 'append' | 'create'
  readonly maxRecordBytes: number
}

/** What a segment says of itself in its first frame. The last segment alone tells how the topic goes on. */
export interface Preamble {
  /** Epoch ms by the writer's clock. */
  readonly createdAt: number
  /** Next offset of every partition where the segment begins. */
  readonly starts: readonly number[]
  /** Largest append time given so far, per partition: times never go back, over restarts neither. 0 = none. */
  readonly lastTimestamps: readonly number[]
}

const SEGMENT = /^(\d{16})\.log$/
const DIGITS = 16

/** A topic's name is the name of its folder. */
export const isTopicName = (name: string): boolean => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,200}$/.test(name)

export const segmentName = (base: number): string => `${String(base).padStart(DIGITS, '0')}.log`
export const segmentPath = (dir: string, base: number): string => join(dir, segmentName(base))
export const indexPath = (dir: string, base: number): string => join(dir, `${String(base).padStart(DIGITS, '0')}.index`)
const specPath = (dir: string): string => join(dir, 'topic.json')

/** Base positions of the segments in a topic's folder, rising, and the files that a crash left unfinished. */
export function listSegments(dir: string): { bases: number[]; unfinished: string[] } {
  const bases: number[] = []
  const unfinished: string[] = []
  for (const name of readdirSync(dir)) {
    const match = SEGMENT.exec(name)
    if (match) bases.push(Number(match[1]))
    else if (name.endsWith(UNFINISHED)) unfinished.push(join(dir, name))
  }
  return { bases: bases.sort((a, b) => a - b), unfinished }
}

/** The spec in a topic's folder; null when the topic was never finished. */
export function readSpec(dir: string): StoredSpec | null {
  try {
    return JSON.parse(readFileSync(specPath(dir), 'utf8')) as StoredSpec
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/** Stores the spec durably: from then on the topic exists. */
export function writeSpec(dir: string, spec: StoredSpec): void {
  replaceFile(specPath(dir), Buffer.from(`${JSON.stringify(spec, null, 2)}\n`))
}

export function makeTopicFolder(dir: string): void {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
}

export function preambleFrame({ createdAt, starts, lastTimestamps }: Preamble): Buffer {
  const text = JSON.stringify({ created_at: createdAt, starts, last_timestamps: lastTimestamps })
  return encodePreamble(Buffer.from(text), createdAt)
}

export function parsePreamble(payload: Buffer): Preamble {
  const { created_at, starts, last_timestamps } = JSON.parse(payload.toString())
  return { createdAt: created_at, starts, lastTimestamps: last_timestamps }
}
