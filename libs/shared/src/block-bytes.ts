/** Bytes that grow by doubling. */
export class Bytes {
  buffer: Buffer
  length = 0
  /** Of the whole buffer. */
  #words: DataView
  constructor(capacity: number) {
    this.buffer = Buffer.allocUnsafeSlow(capacity)
    this.#words = wordsOf(this.buffer)
  }
  /** Makes room for `count` more bytes and returns where they start. The caller writes them. */
  reserve(count: number): number {
    const start = this.length
    const end = start + count
    if (end > this.buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(end, this.buffer.length * 2))
      this.buffer.copy(larger, 0, 0, start)
      this.buffer = larger
      this.#words = wordsOf(larger)
    }
    this.length = end
    return start
  }
  varint(value: number): void {
    let at = this.reserve(varintSize(value))
    while (value > 127) {
      this.buffer[at++] = (value % 128) | 128
      value = Math.floor(value / 128)
    }
    this.buffer[at] = value
  }
  text(value: string): void {
    const length = value.length
    const bytes = length < 128 ? length * 3 : Buffer.byteLength(value)
    const start = this.reserve(bytes + 5)
    const prefix = length < 128 ? 1 : varintSize(bytes)
    const written = this.buffer.write(value, start + prefix)
    this.length = start
    if (varintSize(written) !== prefix) {
      this.buffer.copyWithin(start + varintSize(written), start + prefix, start + prefix + written)
    }
    this.varint(written)
    this.length += written
  }
  uint64(value: number): void {
    const start = this.reserve(8)
    this.buffer.writeUInt32LE(value % 4294967296, start)
    this.buffer.writeUInt32LE(Math.floor(value / 4294967296), start + 4)
  }
  /** Copies a few bytes, four at a time: up to three more are read and written behind them. */
  copy(from: DataView, start: number, count: number): void {
    const at = this.reserve(count + 3)
    const words = this.#words
    for (let i = 0; i < count; i += 4) words.setInt32(at + i, from.getInt32(start + i))
    this.length -= 3
  }
  append(other: Uint8Array): void {
    const at = this.reserve(other.length)
    this.buffer.set(other, at)
  }
  get view(): Buffer {
    return this.buffer.subarray(0, this.length)
  }
}

const wordsOf = ({ buffer, byteOffset, length }: Buffer): DataView => new DataView(buffer, byteOffset, length)

/** Bytes of a varint below 2^35. */
const varintSize = (value: number): number =>
  value < 128 ? 1 : value < 16384 ? 2 : value < 2097152 ? 3 : value < 268435456 ? 4 : 5
