import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { type Sender, Senders } from './senders.ts'
import { VisitorIds } from './steps/visitor.ts'

const HOUR = 3_600_000

const senderOf = (ip: string): Sender => ({
  site: 'blog',
  userAgent: '',
  acceptLanguage: '',
  headers: {},
  ip,
  visitor: new VisitorIds({ saltOf: () => null }, 'blog', ip, ''),
  text: '',
  settings: DEFAULT_SITE_SETTINGS,
  secret: null,
  seen: null,
  place: null,
  placedBy: null,
})

describe('Senders', () => {
  it('it remembers at most twice its maximum, and those who were asked for last', () => {
    const senders = new Senders(100)
    for (let i = 0; i < 1_000; i++) {
      if (senders.get(`s${i}`, 0) === undefined) senders.set(`s${i}`, senderOf(`${i}`))
      expect(senders.get('s0', 0)?.ip).toBe('0')
      expect(senders.size).toBeLessThanOrEqual(201)
    }
    expect(senders.get('s990', 0)?.ip).toBe('990')
    expect(senders.get('s500', 0)).toBeUndefined()
  })

  it('it forgets who was not asked for in two hours of the log', () => {
    const senders = new Senders()
    senders.get('', 0)
    senders.set('a', senderOf('a'))
    senders.set('b', senderOf('b'))
    expect(senders.get('a', HOUR + 1)?.ip).toBe('a')
    expect(senders.get('a', 2 * HOUR + 2)?.ip).toBe('a')
    expect(senders.get('b', 2 * HOUR + 2)).toBeUndefined()
    expect(senders.size).toBe(2)
  })
})
