import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { integer, readSettings, type SettingsError, secret, text, timeZone } from './settings.ts'

const SPEC = {
  MILLRACE_PORT: integer(8700, 1, 65535, 'Port'),
  MILLRACE_LOG: text('embedded', 'Log', ['embedded', 'kafka']),
  MILLRACE_TIMEZONE: timeZone('UTC', 'Zone'),
  MILLRACE_ADMIN_KEY: secret('Key'),
}
const problemsOf = (env: Record<string, string>): readonly string[] => {
  try {
    readSettings(SPEC, env)
  } catch (error) {
    return (error as SettingsError).problems
  }
  return []
}

describe('readSettings', () => {
  test('it gives defaults for what is missing or empty', () => {
    expect(readSettings(SPEC, { MILLRACE_PORT: '', PATH: '/bin' })).toEqual({
      MILLRACE_PORT: 8700,
      MILLRACE_LOG: 'embedded',
      MILLRACE_TIMEZONE: 'UTC',
      MILLRACE_ADMIN_KEY: '',
    })
  })

  test('it names every wrong setting at once, and no value', () => {
    const problems = problemsOf({ MILLRACE_PORT: '70000x', MILLRACE_LOG: 'paper', MILLRACE_TIMEZONE: 'Mars/Olympus' })
    expect(problems).toEqual([
      'MILLRACE_PORT must be a whole number from 1 to 65535',
      'MILLRACE_LOG must be one of embedded, kafka',
      'MILLRACE_TIMEZONE must be an IANA time zone such as Europe/Vienna',
    ])
    expect(problems.join()).not.toMatch(/70000x|paper|Mars/)
  })

  test('it refuses an unknown name and says what is near', () => {
    expect(problemsOf({ MILLRACE_PROT: '1' })).toEqual([
      'MILLRACE_PROT is not a setting of Millrace; did you mean MILLRACE_PORT?',
    ])
    expect(problemsOf({ MILLRACE_SOMETHING_ELSE: '1' })).toEqual([
      'MILLRACE_SOMETHING_ELSE is not a setting of Millrace',
    ])
  })

  test('it reads a secret from a file, and refuses two sources or a missing file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'settings-')), 'key')
    writeFileSync(file, 'sesame\n')
    expect(readSettings(SPEC, { MILLRACE_ADMIN_KEY_FILE: file }).MILLRACE_ADMIN_KEY).toBe('sesame')
    expect(problemsOf({ MILLRACE_ADMIN_KEY_FILE: file, MILLRACE_ADMIN_KEY: 'x' })).toEqual([
      'MILLRACE_ADMIN_KEY and MILLRACE_ADMIN_KEY_FILE are both set; keep one',
    ])
    expect(problemsOf({ MILLRACE_ADMIN_KEY_FILE: '/nowhere' })).toEqual([
      'MILLRACE_ADMIN_KEY names a file (by _FILE) that cannot be read',
    ])
    expect(problemsOf({ MILLRACE_PORT_FILE: file })).toHaveLength(1)
  })
})
