/** Below this a packet more or less is not saved. */
const MIN_BYTES = 1_024

/** The text gzipped, or null where that does not pay or the runtime has no CompressionStream. */
export async function gzip(text: string): Promise<ArrayBuffer | null> {
  if (text.length < MIN_BYTES || typeof CompressionStream === 'undefined') return null
  const stream = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  const packed = await new Response(stream).arrayBuffer()
  return packed.byteLength < text.length ? packed : null
}
