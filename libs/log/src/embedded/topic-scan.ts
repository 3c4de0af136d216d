import { closeSync, openSync } from 'node:fs'
import { type Chunk, readChunk } from './segment.ts'
import { segmentPath } from './topic-files.ts'
import type { TopicView, WriterClient } from './writer-client.ts'

/** Positions of a topic and the generation of its segments in which they hold. */
export interface Located {
  readonly generation: number
  readonly positions: readonly number[]
}

/**
 * What a scan finds at a position: a chunk whose first byte is at position `start`; `later` = nothing now, the listeners of
 * the topic will be called; `moved` = segments were removed or rewritten, positions must be found anew.
 */
export type Found = { chunk: Chunk; start: number; next: number } | 'later' | 'moved'

/** Reads a topic's segment files in this thread, up to what the writer has made durable. */
export class TopicScan {
  readonly view: TopicView
  readonly #client: WriterClient
  #open: { base: number; fd: number; generation: number } | null = null

  constructor(view: TopicView, client: WriterClient) {
    this.view = view
    this.#client = client
    // Removed segments free their space, and their contents are gone, only when nobody has them open.
    view.listeners.add(this.#forget)
  }

  /** Positions at or before the given records. */
  locate(wanted: readonly (readonly [partition: number, offset: number])[]): Promise<Located> {
    return this.#client.ask('locate', { topic: this.view.name, wanted })
  }

  /**
   * Reads about `chunkBytes` (a megabyte) at `position`, which holds in `generation`. When nothing is there yet the next append calls
   * the listeners. @throws Error when the file is damaged
   */
  read(position: number, generation: number, wanted: (partition: number) => boolean, chunkBytes?: number): Found {
    const { positions } = this.view
    if (generation !== positions.generation) return 'moved'
    if (position >= positions.durable) {
      this.#client.wantWake(this.view)
      // Once more, now that the writer knows: it may have appended in between.
      if (position >= positions.durable) return 'later'
    }
    const found = this.#readSegment(position, generation, wanted, chunkBytes)
    return generation === positions.generation ? found : 'moved'
  }

  #readSegment(
    position: number,
    generation: number,
    wanted: (partition: number) => boolean,
    chunkBytes?: number,
  ): Found {
    const { bases, positions, name } = this.view
    const i = bases.findLastIndex((base) => base <= position)
    const base = bases[i]
    if (base === undefined) return 'moved'
    const following = bases[i + 1] ?? Number.POSITIVE_INFINITY
    const fd = this.#fdOf(base, generation)
    if (fd === null) return 'moved'
    const chunk = readChunk(fd, position - base, Math.min(positions.durable, following) - base, wanted, chunkBytes)
    if (chunk.state === 'damaged' && chunk.frames.length === 0)
      throw new Error(`topic ${name}: ${segmentPath(this.view.dir, base)} is damaged at ${chunk.next}`)
    if (chunk.state !== 'end') return { chunk, start: position, next: base + chunk.next }
    // The end of the file: a closed segment goes on in the next, of which the writer's message may still be on its way.
    if (following === Number.POSITIVE_INFINITY) return 'later'
    return this.#readSegment(following, generation, wanted, chunkBytes)
  }

  #fdOf(base: number, generation: number): number | null {
    if (this.#open?.base === base && this.#open.generation === generation) return this.#open.fd
    this.#close()
    try {
      this.#open = { base, generation, fd: openSync(segmentPath(this.view.dir, base), 'r') }
      return this.#open.fd
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      throw error
    }
  }

  readonly #forget = (): void => {
    if (this.#open && !this.view.bases.includes(this.#open.base)) this.#close()
  }

  #close(): void {
    if (this.#open) closeSync(this.#open.fd)
    this.#open = null
  }

  close(): void {
    this.view.listeners.delete(this.#forget)
    this.#close()
  }
}
