import { describe, expect, it } from 'vitest'
import { createLogger } from './create-logger.ts'

describe('createLogger', () => {
  it('it writes lines of its level without anything private', () => {
    const lines: string[] = []
    const logger = createLogger('info', 'collector', { write: (line) => void lines.push(line) })
    logger.debug('not this')
    logger.info({ ip: '192.0.2.7', user_agent: 'Mozilla', hits: 3 }, 'this')
    expect(lines).toHaveLength(1)
    expect(JSON.parse(lines[0]!)).toMatchObject({ level: 'info', name: 'collector', hits: 3, msg: 'this' })
    expect(lines[0]).not.toMatch(/192\.0\.2\.7|Mozilla/)
  })
})
