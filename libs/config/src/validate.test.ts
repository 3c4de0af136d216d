import { MillraceError } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { readSettings } from './validate.ts'

function refusalOf(settings: object): MillraceError {
  try {
    readSettings(settings)
  } catch (error) {
    if (error instanceof MillraceError) return error
    throw error
  }
  throw new Error('it was taken')
}

describe('the bot rules that a site switches off', () => {
  it('are taken by their names', () => {
    const settings = { disabled_bot_rules: ['datacenter_ip', 'googlebot'] }
    expect(readSettings(settings)).toEqual(settings)
  })

  it.each([
    ['googelbot', /"googelbot" is not a bot rule; most like it are googlebot, /],
    ['Datacenter-IP', /most like it are datacenter_ip, /],
    ['prefetch', /most like it are .*sec_purpose_prefetch/],
    ['', /\/disabled_bot_rules\/1 /],
    ['äöü', /docs\/reference\/bots\.md lists them all/],
  ])('are refused where there is no such rule: %j', (name, detail) => {
    const error = refusalOf({ disabled_bot_rules: ['isbot', name] })
    expect(error.code).toBe('field_invalid')
    expect(error.errors?.map(({ pointer }) => pointer)).toEqual(['/disabled_bot_rules/1'])
    expect(error.message).toMatch(detail)
  })
})
