import { readFileSync } from 'node:fs'
import { crc32 } from 'node:zlib'
import type { PartitionPosition, Position } from '../event-log.ts'
import { replaceFile } from './durable-file.ts'

/** Committed positions: group -> topic -> partition. */
type Positions = Record<string, Record<string, Record<string, Position>>>

/**
 * The committed positions of all groups: one small file, written anew as a whole, so that a commit of several partitions
 * is there completely or not at all. Its first line is the CRC32 of the second.
 */
export class OffsetsFile {
  readonly #path: string
  #positions: Positions

  /** @throws Error when the file is damaged: positions are never forgotten silently */
  constructor(path: string) {
    this.#path = path
    this.#positions = readPositions(path)
  }

  committed(group: string, topic: string): Map<number, Position> {
    const partitions = Object.entries(this.#positions[group]?.[topic] ?? {})
    return new Map(partitions.map(([partition, position]) => [Number(partition), position]))
  }

  /** Takes over several commits, durably, all or none. */
  commit(commits: readonly { group: string; positions: readonly PartitionPosition[] }[]): void {
    const next = structuredClone(this.#positions)
    for (const { group, positions } of commits)
      for (const { topic, partition, offset, metadata } of positions) {
        next[group] ??= {}
        next[group][topic] ??= {}
        next[group][topic][partition] = { offset, metadata }
      }
    const text = JSON.stringify(next)
    replaceFile(this.#path, Buffer.from(`${crc32(text).toString(16)}\n${text}\n`))
    this.#positions = next
  }
}

function readPositions(path: string): Positions {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
  const [checksum, json] = text.split('\n')
  if (json === undefined || crc32(json).toString(16) !== checksum)
    throw new Error(`${path} is damaged: restore it from a backup, or remove it and reset every group by hand`)
  return JSON.parse(json) as Positions
}
