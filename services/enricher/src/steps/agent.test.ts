import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AgentReader, readAgent } from './agent.ts'

/** The rows of a table beside this file, by column. */
const rowsOf = (name: string): Record<string, string>[] => {
  const [head, ...lines] = readFileSync(new URL(name, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
  const columns = head!.split('\t')
  return lines.map((line) => Object.fromEntries(line.split('\t').map((cell, i) => [columns[i], cell])))
}

const agents = rowsOf('agents.tsv')
const hinted = rowsOf('client-hints.tsv')
const HINTS = Object.keys(hinted[0]!).filter((column) => column.startsWith('sec-ch-ua'))
const headersOf = (row: Record<string, string>): Record<string, string> =>
  Object.fromEntries(HINTS.filter((name) => row[name] !== '').map((name) => [name, row[name]!]))

function told(header: string, headers: Record<string, string> = {}) {
  const { agent, rules } = readAgent(header, headers)
  return {
    browser: agent.browser,
    version: agent.browserVersion,
    os: agent.os,
    os_version: agent.osVersion,
    device: agent.device,
    type: agent.deviceType,
    platform: agent.platform,
    kind: agent.clientKind,
    reason: rules[0]?.reason ?? '',
  }
}

describe('readAgent', () => {
  it('is tried on 300 user agents and more, each with its source', () => {
    expect(agents.length).toBeGreaterThanOrEqual(300)
    expect(agents.filter(({ source }) => !source)).toEqual([])
    expect(new Set(agents.map(({ header }) => header)).size).toBe(agents.length)
  })

  it.each(agents)('tells what $header is', ({ header, source: _source, ...expected }) => {
    expect(told(header!)).toEqual(expected)
  })

  it.each(hinted)('with Client Hints $it', ({ it: _it, source: _source, user_agent, ...row }) => {
    const expected = Object.fromEntries(Object.entries(row).filter(([column]) => !HINTS.includes(column)))
    const { kind: _kind, ...result } = told(user_agent!, headersOf(row))
    expect(result).toEqual(expected)
  })

  it('never throws, and tells the same of the same', () => {
    const text = fc.string({ unit: 'binary', maxLength: 300 })
    const hints = fc.dictionary(fc.constantFrom(...HINTS), fc.oneof(text, fc.integer(), fc.constant(null)))
    fc.assert(
      fc.property(
        text,
        hints,
        (header, headers) => void expect(readAgent(header, headers)).toEqual(readAgent(header, headers)),
      ),
    )
  })

  it('has texts that survive being stored, whatever was sent', () => {
    const sent = [
      '\ud800',
      `Mozilla/5.0 (Linux; Android 14; SM-\ud800) Chrome/1.0 Mobile Safari/537.36`,
      'curl/8\udfff',
    ]
    const hints = { 'sec-ch-ua-platform': '"Android"', 'sec-ch-ua-model': '"\ud800x"' }
    const texts = [...sent, 'Mozilla/5.0 (Linux; Android 10; K) Chrome/141.0.0.0 Mobile Safari/537.36'].flatMap(
      (header) => Object.values(readAgent(header, hints).agent),
    )
    for (const text of texts) expect(text.isWellFormed()).toBe(true)
  })

  it('never throws on headers that were put together anew', () => {
    const words = [...new Set(agents.flatMap(({ header }) => header!.split(' ')))]
    const lists = hinted.flatMap((row) => HINTS.map((name) => row[name]!))
    const header = fc.array(fc.constantFrom(...words), { maxLength: 20 }).map((some) => some.join(' '))
    const hints = fc.dictionary(fc.constantFrom(...HINTS), fc.constantFrom(...lists))
    fc.assert(
      fc.property(header, hints, (some, headers) => void readAgent(some, headers)),
      { numRuns: 300 },
    )
  })

  it.each([90, 99, 100, 120, 147, 155])('has one row for Chrome %i, whichever header tells the version', (version) => {
    const header = `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/${version}.0.0.0 Safari/537.36`
    const brands = (v: string) => `"Google Chrome";v="${v}", "Chromium";v="${v}", "Not_A Brand";v="24"`
    const rows = [
      told(header),
      told(header, { 'sec-ch-ua': brands(String(version)) }),
      told(header, { 'sec-ch-ua': brands(`${version}.0`) }),
      told(header, { 'sec-ch-ua-full-version-list': brands(`${version}.0.7390.55`) }),
    ]
    for (const row of rows) expect(row).toEqual(rows[0])
  })

  it('has one row for a phone, whichever header tells the model', () => {
    const phone = (system: string) =>
      `Mozilla/5.0 (Linux; ${system}) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36`
    const models = ['Pixel 8', 'SM-S918B', '2201117TY', 'CPH2653', 'V2302', 'moto g power (2022)', 'CUBOT P50']
    for (const model of models) {
      const headers = {
        'sec-ch-ua-platform': '"Android"',
        'sec-ch-ua-platform-version': '"14.0.0"',
        'sec-ch-ua-model': `"${model}"`,
      }
      expect(told(phone('Android 10; K'), headers).device).toBe(told(phone(`Android 14; ${model}`)).device)
      expect(told(phone('Android 10; K'), headers).os_version).toBe('14')
    }
  })
})

describe('AgentReader', () => {
  const request = (userAgent: string, headers = {}) => ({ userAgent, headers })

  it('takes the number of a build for no version', () => {
    const header = 'Mozilla/5.0 (Linux; Android 15; SM-S928B; wv) AppleWebKit/537.36 trill_420009 musical_ly_420009'
    expect(readAgent(header).agent).toMatchObject({ browser: 'TikTok', browserVersion: '' })
  })

  it('reads each header once', () => {
    const reader = new AgentReader()
    expect(reader.read(request('curl/8'))).toBe(reader.read(request('curl/8')))
    expect(reader.size).toBe(1)
  })

  it('tells clients with the same header and other hints apart', () => {
    const reader = new AgentReader()
    const header = agents.find(({ browser }) => browser === 'Chrome')!.header!
    const brave = { 'sec-ch-ua': '"Brave";v="141", "Chromium";v="141"' }
    expect(reader.read(request(header)).agent.browser).toBe('Chrome')
    expect(reader.read(request(header, brave)).agent.browser).toBe('Brave')
    expect(reader.size).toBe(2)
  })

  it('answers for every hint as without memory', () => {
    const reader = new AgentReader()
    for (const row of [...hinted, ...hinted]) {
      expect(reader.read(request(row.user_agent!, headersOf(row)))).toEqual(readAgent(row.user_agent!, headersOf(row)))
    }
  })

  it('does not read what no header has', () => {
    const reader = new AgentReader()
    reader.read(request(`curl/8 ${'x'.repeat(5_000)}`, { 'sec-ch-ua': 'y'.repeat(5_000) }))
    reader.read(request(`curl/8 ${'x'.repeat(6_000)}`, { 'sec-ch-ua': 'y'.repeat(6_000) }))
    expect(reader.size).toBe(1)
  })

  it('stays bounded under a flood of distinct headers', () => {
    const reader = new AgentReader(50)
    for (let i = 0; i < 200; i++) reader.read(request(`curl/8.${i}`, { 'sec-ch-ua-model': `"${i}"` }))
    expect(reader.size).toBe(50)
  })
})
