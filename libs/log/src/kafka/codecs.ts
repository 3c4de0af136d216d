import kafkajs from 'kafkajs'
import { compressFrame, compressFrameSync, decompressFrame, decompressFrameSync } from 'lz4-napi'

/** Above this the thread pool takes over: a block of 16 MB would hold up the event loop for 20 ms. */
const INLINE_BYTES = 1 << 20

/** The bytes as an lz4 frame. */
export const compressLz4 = (bytes: Buffer): Buffer | Promise<Buffer> =>
  bytes.length <= INLINE_BYTES ? compressFrameSync(bytes) : compressFrame(bytes)

/**
 * Gives the client its lz4 codec. It must happen before the first connection: a codec that is missing when a record needs
 * it kills the consumer (guard 9, 13). gzip is built in; snappy and zstd are never written by us.
 */
export function registerCodecs(): void {
  const { CompressionCodecs, CompressionTypes } = kafkajs
  CompressionCodecs[CompressionTypes.LZ4] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => compressLz4(buffer),
    decompress: (buffer: Buffer) =>
      buffer.length <= INLINE_BYTES ? decompressFrameSync(buffer) : decompressFrame(buffer),
  })
}
