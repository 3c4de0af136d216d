import { randomFillSync } from 'node:crypto'
import type { LogProducer } from '@millrace/log'
import { HITS_RAW, RAW_LINE_VERSION, type RawLine } from '@millrace/shared'
import type { Chance } from './chance.ts'

const YEAR_2100 = Date.UTC(2100, 0, 1)
const MINUTE = 60_000
/** More than hits.raw takes unless an operator lets it. */
const LARGE = 10_000_000
/** Each of them is a row, and a letter in hits.dead. */
const MANY_LINES = 5_000
const PERSON = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

/**
 * Writes what no collector writes straight to hits.raw: bytes that are no lines, lines that are none of ours, records of
 * 10 MB, times in the year 2100, the same line twice and out of order.
 */
export class Poison {
  readonly #producer: LogProducer
  readonly #partitions: number
  readonly #chance: Chance
  readonly #hitIds: string[] = []
  #records = 0

  constructor(producer: LogProducer, partitions: number, chance: Chance) {
    this.#producer = producer
    this.#partitions = partitions
    this.#chance = chance
  }

  /** hit_ids of the good hits among it: each has to be kept once. */
  get hitIds(): readonly string[] {
    return this.#hitIds
  }

  get records(): number {
    return this.#records
  }

  /** One dose for a partition. Repeated until the log has it: every repetition is known by its hit_ids. */
  async give(): Promise<void> {
    const partition = Math.floor(this.#chance.between(0, this.#partitions))
    const values = this.#values()
    for (let tries = 0; ; tries++) {
      try {
        const records = values.map((value) => ({ value }))
        await this.#producer.append(HITS_RAW.name, new Map([[partition, records]]))
        break
      } catch (error) {
        if (tries === 5) throw error
      }
    }
    this.#records += values.length
  }

  #values(): (Buffer | null)[] {
    const now = Date.now()
    const future = { collected_at: YEAR_2100, sent_at: YEAR_2100 }
    const [early, late] = [this.#line(), this.#line({ sent_at: now, hits: [this.#hit(now - 40 * MINUTE)] })]
    const lines = [
      this.#line(future),
      this.#line({ ...future, spooled: true }),
      this.#line({ sent_at: now, hits: [this.#hit(YEAR_2100)] }),
      // A collector whose clock is five minutes behind, and one whose clock is ahead.
      this.#line({ collected_at: now - 5 * MINUTE, spooled: true }),
      this.#line({ collected_at: now + 5 * MINUTE, spooled: true }),
      late,
      early,
      late,
      early,
    ]
    const broken = [
      null,
      Buffer.alloc(0),
      Buffer.from('{"v":1,"hits":[{'),
      Buffer.from('\n\n[]\nnull\n{}\n{"v":1}\n"text"\n'),
      Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28, 0x0a, 0xed, 0xa0, 0x80]),
      Buffer.from(`{"v":99,"hits":[]}\n`),
      noise(LARGE),
      Buffer.alloc(2 * MANY_LINES, 'x\n'),
      Buffer.from(
        `${JSON.stringify({ ...this.#line({ hits: [] }), hits: [null, 7, {}, { hit_id: 'x', url: 'y' }] })}\n`,
      ),
      Buffer.from(
        `${JSON.stringify({ ...this.#line({ hits: [] }), headers: { 'accept-language': noise(LARGE).toString('latin1') } })}\n`,
      ),
    ]
    const good = lines.map((line) => Buffer.from(`${JSON.stringify(line)}\n`))
    // Good and bad lines of one record do not touch each other.
    const mixed = Buffer.concat([
      Buffer.from('{\n'),
      Buffer.from(`${JSON.stringify(this.#line())}\n`),
      Buffer.from('}\n'),
    ])
    return this.#chance.shuffled([...broken, ...good, mixed])
  }

  #line(given: Partial<RawLine> = {}): RawLine {
    return {
      v: RAW_LINE_VERSION,
      collected_at: Date.now(),
      config_at: -1,
      site: 'shop',
      trust: 'public',
      ip: '198.51.100.7',
      user_agent: PERSON,
      headers: { 'accept-language': 'en' },
      hits: given.hits ?? [this.#hit()],
      ...given,
    }
  }

  #hit(createdAt?: number): RawLine['hits'][number] {
    const hitId = `00000000-0000-4000-9000-${String(this.#hitIds.length).padStart(12, '0')}`
    this.#hitIds.push(hitId)
    return {
      hit_id: hitId,
      type: 'page_view',
      url: 'https://www.shop.example/straight',
      ...(createdAt !== undefined && { created_at: createdAt }),
    } as RawLine['hits'][number]
  }
}

/** Letters that do not shrink much: what is sent is large on the broker too. */
function noise(bytes: number): Buffer {
  const letters = randomFillSync(Buffer.alloc(bytes))
  for (let i = 0; i < bytes; i++) letters[i] = 65 + (letters[i]! & 15)
  return letters
}
