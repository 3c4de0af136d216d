import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { hashOf } from './byte-words.ts'
import { Client, Sender } from './sender.ts'
import { type LineBytes, Senders } from './senders.ts'
import { VisitorIds } from './steps/visitor.ts'

const HOUR = 3_600_000

/** A line that is cut where its address and its client begin. */
function lineOf(ip: string, client: string): readonly [line: LineBytes, address: number, client: number] {
  const bytes = Buffer.from(`>>${ip}${client},"hits"`)
  return [{ bytes, view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length) }, 2, 2 + ip.length]
}

const find = (senders: Senders, ip: string, client = 'Firefox', time = 0): Sender | undefined =>
  senders.find(...lineOf(ip, client), time)

function add(senders: Senders, ip: string, text = 'Firefox'): Sender {
  const client = senders.clientOf(Buffer.from(text), (copy) => new Client(copy, '', {}, ''))
  const visitor = new VisitorIds({ saltOf: () => null }, 'blog', ip, '')
  const sender = new Sender('blog', ip, client, visitor, DEFAULT_SITE_SETTINGS, null)
  senders.add(sender, ...lineOf(ip, text))
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
    expect(senders.size).toBe(1)
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

  it('tells addresses of one hash apart', () => {
    const senders = new Senders()
    const ips = ['10.0.32.69', '10.2.104.202']
    const hashes = ips.map((ip) => hashOf(new DataView(new TextEncoder().encode(ip).buffer), 0, ip.length))
    expect(new Set(hashes).size).toBe(1)
    const known = ips.map((ip) => add(senders, ip))
    expect(ips.map((ip) => find(senders, ip)?.ip)).toEqual(ips)
    expect(known.map(({ ip }) => ip)).toEqual(ips)
  })

  it('bounds the bytes of addresses whose senders push each other out', () => {
    const senders = new Senders(100)
    find(senders, 'a')
    add(senders, 'b')
    for (let i = 0; i < 1_000; i++) {
      find(senders, 'a'.repeat(100))
      add(senders, 'a'.repeat(100), `client ${i}`)
    }
    expect(find(senders, 'b')).toBeUndefined()
  })
})
