import { readFileSync } from 'node:fs'
import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { ASSET_ENDINGS } from './asset-path.ts'
import { honourSignals, IGNORE_REASONS, NO_SIGNALS, readSignals } from './privacy-signals.ts'

const both = readSignals({ dnt: '1', 'sec-gpc': '1' })

describe('honourSignals', () => {
  it.each([
    [true, true, 'global_privacy_control'],
    [true, false, 'do_not_track'],
    [false, true, 'global_privacy_control'],
    [false, false, null],
  ])('it heeds DNT (%s) and GPC (%s) as the site says: %s', (respect_dnt, respect_gpc, expected) => {
    expect(honourSignals(both, { ...DEFAULT_SITE_SETTINGS, respect_dnt, respect_gpc })).toBe(expected)
  })

  it('it leaves nobody out who asks for nothing', () => {
    expect(readSignals({ accept: '*/*' })).toBe(NO_SIGNALS)
    expect(honourSignals(NO_SIGNALS, DEFAULT_SITE_SETTINGS)).toBeNull()
  })
})

describe('docs/reference/http-api.md', () => {
  const page = readFileSync(new URL('../../../docs/reference/http-api.md', import.meta.url), 'utf8')

  it('it has every reason to ignore a hit, and no other', () => {
    const table = page.slice(page.indexOf('| reason | when |')).split('\n\n', 1)[0]!
    expect([...table.matchAll(/^\| `(\w+)` \|/gm)].map(([, reason]) => reason)).toEqual([...IGNORE_REASONS])
  })

  it('it has every ending of an asset', () => {
    expect(page).toContain(`ends in one of: ${ASSET_ENDINGS} |`)
  })
})
