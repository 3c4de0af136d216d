import { readSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { ENRICHER_SETTINGS } from './settings.ts'

const { MILLRACE_FINGERPRINT_KEY, MILLRACE_FINGERPRINT_INPUTS } = ENRICHER_SETTINGS
const read = (env: Record<string, string>) =>
  readSettings({ MILLRACE_FINGERPRINT_KEY, MILLRACE_FINGERPRINT_INPUTS }, env)

describe('fingerprint settings', () => {
  it.each([
    ['', []],
    ['accept-language', ['accept-language']],
    ['Accept-Encoding, accept-language', ['accept-language', 'accept-encoding']],
    ['accept-encoding,accept-encoding', ['accept-encoding']],
  ])('read %j as %j: the order is no other fingerprint', (text, names) => {
    expect(read({ MILLRACE_FINGERPRINT_INPUTS: text }).MILLRACE_FINGERPRINT_INPUTS).toEqual(names)
  })

  it.each([
    [{ MILLRACE_FINGERPRINT_INPUTS: 'cookie' }, 'must be a comma-separated list of accept-language, accept-encoding'],
    [{ MILLRACE_FINGERPRINT_KEY: 'too short' }, 'must have at least 32 characters'],
  ])('refuse %j without showing it', (env, problem) => {
    expect(() => read(env)).toThrow(problem)
    expect(() => read(env)).not.toThrow(/too short|cookie/)
  })
})
