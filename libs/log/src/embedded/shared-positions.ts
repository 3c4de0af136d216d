/**
 * What the writer publishes of a topic to the readers of all threads, in shared memory: how far the log is durable, in
 * which generation its segments are, and the low and end offset of every partition. A position is a place in the topic's
 * stream of bytes: a segment file is named by the position of its first byte.
 */
export class SharedPositions {
  readonly buffer: SharedArrayBuffer
  readonly #cells: BigInt64Array
  readonly #partitions: number

  constructor(partitions: number, buffer = new SharedArrayBuffer(8 * (2 + 2 * partitions))) {
    this.buffer = buffer
    this.#cells = new BigInt64Array(buffer)
    this.#partitions = partitions
  }

  /** Everything before this position is durable and may be read; nothing behind it. */
  get durable(): number {
    return Number(Atomics.load(this.#cells, 0))
  }
  set durable(position: number) {
    Atomics.store(this.#cells, 0, BigInt(position))
  }

  /** Rises before and after segments are rewritten: positions found under another generation mean nothing. */
  get generation(): number {
    return Number(Atomics.load(this.#cells, 1))
  }
  set generation(generation: number) {
    Atomics.store(this.#cells, 1, BigInt(generation))
  }

  /** Offset of the oldest record that can be read. */
  low(partition: number): number {
    return Number(Atomics.load(this.#cells, 2 + partition))
  }
  setLow(partition: number, offset: number): void {
    Atomics.store(this.#cells, 2 + partition, BigInt(offset))
  }

  /** Offset that the next record will get. */
  end(partition: number): number {
    return Number(Atomics.load(this.#cells, 2 + this.#partitions + partition))
  }
  setEnd(partition: number, offset: number): void {
    Atomics.store(this.#cells, 2 + this.#partitions + partition, BigInt(offset))
  }
}
