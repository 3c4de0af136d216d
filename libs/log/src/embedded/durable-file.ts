import { closeSync, fsyncSync, openSync, renameSync, unlinkSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

/** Ending of files that are not finished yet; found at start they are what a crash left, and go. */
export const UNFINISHED = '.tmp'

/** Makes creations, renames and removals in a directory survive power loss. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Replaces a file as a whole: afterwards, and after a crash in the middle, it has the old or the new content, durably. */
export function replaceFile(path: string, content: Buffer): void {
  const unfinished = path + UNFINISHED
  try {
    writeWhole(unfinished, content)
    renameSync(unfinished, path)
  } catch (error) {
    removeQuietly(unfinished)
    throw error
  }
  syncDirectory(dirname(path))
}

function writeWhole(path: string, content: Buffer): void {
  const fd = openSync(path, 'w', 0o600)
  try {
    for (let at = 0; at < content.length; ) at += writeSync(fd, content, at)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Removes a file that may be gone already, or cannot be removed now and does no harm. */
export function removeQuietly(path: string): void {
  try {
    unlinkSync(path)
  } catch {
    // nothing depends on it
  }
}
