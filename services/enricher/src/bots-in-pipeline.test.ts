import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_SITE_SETTINGS, type HitRow, readSettings, SettingsError, type SiteSettings } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { describe, expect, it } from 'vitest'
import { enrich, type Tools } from './pipeline.ts'
import { type RawHit, readRecord } from './raw-hit.ts'
import { ENRICHER_SETTINGS } from './settings.ts'
import { NetworkList } from './steps/bots-networks.ts'
import { NOON, READING, rawRecord, storedRow, TOOLS } from './testing/lab.ts'

type Line = Parameters<typeof rawLine>[1]
interface Given {
  readonly hit?: object
  readonly line?: Line
  readonly site?: Partial<SiteSettings>
  readonly tools?: Partial<Tools>
}

function rowOf({ hit, line, site, tools }: Given): HitRow {
  const hits: RawHit[] = []
  const value = rawValue([rawLine([{ ...pageView(), hit_id: hitId(1), ...hit }], line)])
  readRecord(rawRecord(5, NOON, value), READING, hits, [])
  return storedRow(enrich(hits[0]!, { ...DEFAULT_SITE_SETTINGS, ...site }, { ...TOOLS, ...tools }).row)
}

const PREFETCH: Line = { headers: { 'sec-purpose': 'prefetch' } }
const datacenters = NetworkList.parse('192.0.2.0/24')

describe('enrich', () => {
  it.each<[string, Given, string]>([
    ['a person', {}, ''],
    ['a library', { line: { user_agent: 'curl/8.5.0' } }, 'ua_library'],
    ['no user agent', { line: { user_agent: '' } }, 'ua_missing'],
    [
      'an AI crawler',
      { line: { user_agent: 'Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)' } },
      'ai_crawler',
    ],
    ['a prefetch', { line: PREFETCH }, 'prefetch'],
    [
      'a prefetch where the site says so',
      { line: PREFETCH, site: { disabled_bot_rules: ['sec_purpose_prefetch'] } },
      '',
    ],
    ['a hosting network', { line: { ip: '192.0.2.9' }, tools: { datacenters } }, 'datacenter_ip'],
    ['another network', { line: { ip: '198.51.100.9' }, tools: { datacenters } }, ''],
    ['a hosting network without a list', { line: { ip: '192.0.2.9' } }, ''],
    ['a spam referrer', { hit: { referrer: 'https://semalt.com/crawler' } }, 'referrer_spam'],
    ['a referrer with code', { hit: { referrer: 'https://a.example/"><script>alert(1)</script>' } }, 'referrer_spam'],
    ['a referrer that a browser wrote', { hit: { referrer: 'https://a.example/?q=%3Cscript%3E' } }, ''],
    ['another referrer', { hit: { referrer: 'https://news.example/' } }, ''],
  ])('marks %s as it should', (_, given, reason) => {
    expect(rowOf(given)).toMatchObject({ verdict: 'keep', is_bot: reason !== '', bot_reason: reason })
  })

  it('tells the device by the Client Hints of the line', () => {
    const headers = {
      'sec-ch-ua': '"Brave";v="141", "Chromium";v="141"',
      'sec-ch-ua-platform': '"Windows"',
      'sec-ch-ua-platform-version': '"15.0.0"',
    }
    expect(rowOf({ line: { headers } })).toMatchObject({ browser: 'Brave', browser_version: '141', os_version: '11' })
  })

  it('tells language, region, screen and orientation', () => {
    const hit = { language: 'pt-BR', screen_width: 412, screen_height: 915, pixel_ratio: 2.625 }
    expect(rowOf({ hit })).toMatchObject({
      ...{ language: 'pt', language_region: 'BR', screen_class: 'xs', orientation: 'portrait', pixel_ratio: 2.625 },
    })
    const line = { headers: { 'accept-language': 'en;q=0.3, fr-CH;q=0.9' } }
    expect(rowOf({ line })).toMatchObject({ language: 'fr', language_region: 'CH', screen_class: '', orientation: '' })
  })
})

describe('MILLRACE_DATACENTER_NETWORKS', () => {
  const file = join(mkdtempSync(join(tmpdir(), 'millrace-')), 'networks.txt')
  const read = (path: string) => readSettings(ENRICHER_SETTINGS, { MILLRACE_DATACENTER_NETWORKS: path })

  it('is read at start', () => {
    writeFileSync(file, '192.0.2.0/24 # hosting\n')
    expect(read(file).MILLRACE_DATACENTER_NETWORKS?.has('192.0.2.1')).toBe(true)
    expect(read('').MILLRACE_DATACENTER_NETWORKS).toBeNull()
  })

  it('is refused when it cannot be read, by the number of the line', () => {
    writeFileSync(file, '192.0.2.0/24\nhosting\n')
    expect(() => read(file)).toThrow(SettingsError)
    expect(() => read(file)).toThrow('MILLRACE_DATACENTER_NETWORKS names a file whose line 2 is no network')
    expect(() => read(`${file}.missing`)).toThrow('names a file that cannot be read')
  })
})
