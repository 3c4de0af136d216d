import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MIGRATIONS_DIR, readMigrations, statementsOf } from './migration-files.ts'

describe('readMigrations', () => {
  let dir: string
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'millrace-migrations-'))
  })
  afterEach(() => rmSync(dir, { recursive: true }))
  const write = (name: string, text: string): void => writeFileSync(join(dir, name), text)

  it('reads files in order', () => {
    write('0002-b.sql', 'B;\n')
    write('0001-a.sql', 'A;\n')
    expect(readMigrations(dir).map((m) => [m.version, m.name, m.statements])).toEqual([
      [1, 'a', ['A']],
      [2, 'b', ['B']],
    ])
  })

  it('gives one checksum for both kinds of line ends', () => {
    write('0001-a.sql', 'A;\nB;\n')
    const [lf] = readMigrations(dir)
    write('0001-a.sql', 'A;\r\nB;\r\n')
    const [crlf] = readMigrations(dir)
    expect(crlf).toEqual(lf)
    write('0001-a.sql', 'A;\nB ;\n')
    expect(readMigrations(dir)[0]!.sha256).not.toBe(lf!.sha256)
  })

  it.each([['1-a.sql'], ['0001_a.sql'], ['notes.txt'], ['0002-gap.sql']])('refuses %s', (name) => {
    write(name, 'A;\n')
    expect(() => readMigrations(dir)).toThrow()
  })

  it('finds our own, each statement of which can be run again', () => {
    const migrations = readMigrations(MIGRATIONS_DIR)
    expect(migrations[0]).toMatchObject({ version: 1, name: 'tables' })
    for (const { statements } of migrations) {
      for (const statement of statements)
        expect(statement).toMatch(
          /^(CREATE [A-Z ]*IF NOT EXISTS|CREATE OR REPLACE VIEW|DROP [A-Z ]*IF EXISTS|ALTER TABLE [\w.]+\s+(ADD COLUMN IF NOT EXISTS|MODIFY (COLUMN|QUERY|SETTING)))\s/,
        )
    }
  })
})

describe('statementsOf', () => {
  it('splits at semicolons that end a line, and leaves out comments', () => {
    expect(statementsOf(`-- a; comment;\nSELECT ';' ;  \n\n  -- more\nSELECT 2\n  + 2;\nSELECT 3`)).toEqual([
      `SELECT ';'`,
      'SELECT 2\n  + 2',
      'SELECT 3',
    ])
  })
})
