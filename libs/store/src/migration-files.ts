import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Beside src and dist, so that both find it. */
export const MIGRATIONS_DIR = fileURLToPath(new URL('../migrations', import.meta.url))

export interface Migration {
  readonly version: number
  readonly name: string
  /** Of the file's text with LF line ends, lowercase hex. */
  readonly sha256: string
  readonly statements: readonly string[]
}

const FILE = /^(\d{4})-([a-z0-9-]+)\.sql$/

/** The numbered files of a folder, in order. @throws Error for a file with another name, or a number used twice or left out */
export function readMigrations(dir: string): readonly Migration[] {
  const migrations = readdirSync(dir)
    .sort()
    .map((file) => readMigration(dir, file))
  for (const [index, { version }] of migrations.entries()) {
    if (version !== index + 1)
      throw new Error(`migrations are numbered from 1 without gaps: expected ${index + 1}, found ${version}`)
  }
  return migrations
}

function readMigration(dir: string, file: string): Migration {
  const match = FILE.exec(file)
  if (!match) throw new Error(`not the name of a migration (NNNN-name.sql): ${file}`)
  const text = readFileSync(join(dir, file), 'utf8').replaceAll('\r\n', '\n')
  const sha256 = createHash('sha256').update(text).digest('hex')
  return { version: Number(match[1]), name: match[2]!, sha256, statements: statementsOf(text) }
}

/** Statements end with a semicolon at the end of a line. Lines that start with `--` are comments. */
export function statementsOf(text: string): readonly string[] {
  const code = text.replace(/^\s*--.*$/gm, '')
  return code
    .split(/;[ \t]*$/m)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '')
}
