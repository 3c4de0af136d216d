import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { type Sender, Senders } from './senders.ts'
import { VisitorIds } from './steps/visitor.ts'

const HOUR = 3_600_000

const senderOf = (ip: string, client: Buffer): Sender => ({
  site: 'blog',
  userAgent: '',
  acceptLanguage: '',
  headers: {},
  ip,
  visitor: new VisitorIds({ saltOf: () => null }, 'blog', ip, ''),
  client,
  settings: DEFAULT_SITE_SETTINGS,
  secret: null,
  seen: null,
  broken: null,
  judgedBy: undefined,
  place: null,
  placedBy: null,
  session: null,
})

/** A known sender, and where its bytes stand in a line. */
const find = (senders: Senders, ip: string, client = 'Firefox', time = 0): Sender | undefined =>
  senders.find(ip, Buffer.from(`>>${client},"hits"`), 2, time)
const add = (senders: Senders, ip: string, client = 'Firefox'): Sender => {
  const sender = senderOf(ip, senders.clientOf(Buffer.from(client)))
  senders.add(ip, sender)
  return sender
}

describe('Senders', () => {
  it('remembers at most twice its maximum, and those who were asked for last', () => {
    const senders = new Senders(100)
    for (let i = 0; i < 1_000; i++) {
      if (find(senders, `s${i}`) === undefined) add(senders, `s${i}`)
      expect(find(senders, 's0')?.ip).toBe('s0')
      expect(senders.size).toBeLessThanOrEqual(201)
    }
    expect(find(senders, 's990')?.ip).toBe('s990')
    expect(find(senders, 's500')).toBeUndefined()
  })

  it('forgets who was not asked for in two hours of the log', () => {
    const senders = new Senders()
    find(senders, '')
    add(senders, 'a')
    add(senders, 'b')
    expect(find(senders, 'a', 'Firefox', HOUR + 1)?.ip).toBe('a')
    expect(find(senders, 'a', 'Firefox', 2 * HOUR + 2)?.ip).toBe('a')
    expect(find(senders, 'b', 'Firefox', 2 * HOUR + 2)).toBeUndefined()
    expect(senders.size).toBe(2)
  })

  it('tells the clients behind one address apart, also where one begins as another does', () => {
    const senders = new Senders()
    const known = ['Firefox', 'Firefox,', 'Firefox,"user"', 'Fire', 'Chrome'].map((client) => add(senders, 'a', client))
    expect(find(senders, 'a')).toBe(known[0])
    expect(find(senders, 'a', 'Chrome')).toBe(known[4])
    expect(find(senders, 'a', 'Firefox,"user"')).toBe(known[2])
    expect(find(senders, 'a', 'Firefo')).toBeUndefined()
    expect(find(senders, 'a', 'Safari')).toBeUndefined()
  })

  it('takes a sender that was read anew for the one before', () => {
    const senders = new Senders()
    expect(find(senders, 'a')).toBeUndefined()
    add(senders, 'a')
    const later = add(senders, 'a')
    expect(find(senders, 'a')).toBe(later)
    expect(senders.size).toBe(1)
  })

  it('remembers 64 clients of one address, and counts them', () => {
    const senders = new Senders(100)
    for (let i = 0; i < 99; i++) add(senders, 'a', `client ${i}`)
    expect(senders.size).toBe(64)
    expect(find(senders, 'a', 'client 98')).toBeDefined()
    expect(find(senders, 'a', 'client 0')).toBeUndefined()
  })
})
