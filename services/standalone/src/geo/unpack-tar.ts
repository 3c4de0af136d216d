const BLOCK = 512
/** Types of plain files: `0`, and NUL in archives of old. */
const PLAIN_FILE = ['0', '\0']

const textAt = (archive: Buffer, start: number, length: number): string =>
  archive.toString('latin1', start, start + length).split('\0', 1)[0]!

/**
 * The content of the first plain file of a tar archive (ustar) whose name ends with `ending`; null = there is none.
 * @throws Error when the archive is cut off, or no archive
 */
export function fileFromTar(archive: Buffer, ending: string): Buffer | null {
  for (let at = 0; at + BLOCK <= archive.length; ) {
    const name = textAt(archive, at, 100)
    if (name === '') return null
    const size = Number.parseInt(textAt(archive, at + 124, 12).trim(), 8)
    if (textAt(archive, at + 257, 5) !== 'ustar' || !Number.isSafeInteger(size)) throw new Error('it is no tar archive')
    const start = at + BLOCK
    if (start + size > archive.length) throw new Error('the archive is cut off')
    const type = archive.toString('latin1', at + 156, at + 157)
    if (PLAIN_FILE.includes(type) && name.endsWith(ending)) return archive.subarray(start, start + size)
    at = start + Math.ceil(size / BLOCK) * BLOCK
  }
  return null
}
