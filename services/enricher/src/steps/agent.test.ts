import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AgentReader, readAgent } from './agent.ts'

const cases = readFileSync(new URL('agents.tsv', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n')
  .slice(1)
  .map((line) => line.split('\t'))

describe('readAgent', () => {
  it.each(cases.map((cells) => ({ header: cells.at(-1)!, cells })))('tells what $header is', ({ header, cells }) => {
    const agent = readAgent(header)
    expect([...Object.values(agent), header]).toEqual(cells)
  })

  it('never throws', () => {
    fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (header) => void readAgent(header)))
  })
})

describe('AgentReader', () => {
  it('reads each header once', () => {
    const agents = new AgentReader()
    expect(agents.read('curl/8')).toBe(agents.read('curl/8'))
    expect(agents.size).toBe(1)
  })

  it('stays bounded under a flood of distinct headers', () => {
    const agents = new AgentReader(50)
    for (let i = 0; i < 200; i++) agents.read(`curl/8.${i}`)
    expect(agents.size).toBe(50)
  })
})
