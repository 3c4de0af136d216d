import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'

/**
 * One life of a process that may be killed at any file operation. What it was promised it notes in a journal that lies
 * outside of the folders where it can be killed: a note is there before the next step begins.
 */
interface Life {
  /** Folder of the installation. */
  readonly dir: string
  /** 0 is the first. */
  readonly number: number
  /** The start, and what there was to recover, is behind it: the work begins. */
  begin(): void
  /** Notes a promise. */
  note(line: string): void
  /** Makes the disk full for the paths that begin so, or gives it room again with none. */
  fill(...paths: readonly string[]): void
}

/** The arguments of a child: folder, journal, number of the life. */
export function thisLife(): Life {
  const [dir, journal, number] = process.argv.slice(2) as [string, string, string]
  const fd = openSync(journal, 'a', 0o600)
  process.once('exit', () => closeSync(fd))
  return {
    dir,
    number: Number(number),
    begin: () => writeFileSync(process.env.FAULTS_BEGIN!, ''),
    note: (line) => void writeSync(fd, `${line}\n`),
    fill: (...paths) => writeFileSync(process.env.FAULTS_FULL!, paths.map((path) => `full ${path}\n`).join('')),
  }
}

/** The notes of all lives, in words. A note that the kill cut off is none. */
export function notesOf(journal: string): string[][] {
  return readFileSync(journal, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line) => line.split(' '))
}
