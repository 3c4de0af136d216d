/** Two owners of one partition, a shaky log, random interleavings: what is accepted equals a sequential run. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Position, StoredRecord } from '@millrace/log'
import { decodeEnriched, HITS_ENRICHED, HITS_RAW, type HitRow, readRows, type SessionRow } from '@millrace/shared'
import { hitId, pageView, rawLine, rawValue, waitUntil } from '@millrace/testing'
import { afterAll, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import type { Facts } from '../facts.ts'
import type { Salts } from '../salts.ts'
import { collapse, contentOf, Lab, MINUTE, NOON, READING, RULES, rawRecord, saltOf, TOOLS } from '../testing/lab.ts'
import { ShakyLog, seededRandom } from '../testing/shaky-log.ts'
import { Checkpoints } from './checkpoints.ts'
import { Hole } from './hole.ts'
import { PartitionWorker } from './partition-worker.ts'

const SALTS: Salts = { saltOf, isDecided: () => true, ensure: async () => {}, close: async () => {} }

/** Counts what the worker tells. */
class CountedFacts implements Facts {
  supersessions = 0
  restores = 0
  /** How many rows were read by all of them. */
  restoredRows = 0
  readonly stops: Error[] = []
  readonly failures: unknown[] = []
  batchWritten(): void {}
  restored({ rows }: { rows: number }): void {
    this.restores++
    this.restoredRows += rows
  }
  kept(): void {}
  superseded(): void {
    this.supersessions++
  }
  appendInDoubt(): void {}
  commitRefused(): void {}
  failed(_: number, error: unknown): void {
    this.failures.push(error)
  }
  stopped(_: number, error: unknown): void {
    this.stops.push(error as Error)
  }
  lost(): void {}
  notPutAside(): void {}
  noCheckpoints(): void {}
  checkpointUnreadable(error: unknown): void {
    throw error
  }
  saltDropped(): void {}
  fingerprintKeyUsed(): void {}
  geoOpened(): void {}
  geoRefused(): void {}
}

function raw(count: number, random: () => number): StoredRecord[] {
  let time = NOON
  return Array.from({ length: count }, (_, offset) => {
    time += Math.floor(random() * 8 * MINUTE)
    const lines = Array.from({ length: 1 + Math.floor(random() * 3) }, (__, i) => {
      const id = hitId(random() < 0.1 ? offset : offset * 10 + i)
      const url = `https://example.com/${Math.floor(random() * 3)}`
      return rawLine([{ ...pageView({ url, created_at: time - Math.floor(random() * 10 * MINUTE) }), hit_id: id }], {
        sent_at: time,
        ip: `203.0.113.${Math.floor(random() * 2)}`,
      })
    })
    return rawRecord(offset, time, rawValue(lines))
  })
}

/** A worker with a delivery that hands over what it wants, in random pieces. */
class Owner {
  readonly worker: PartitionWorker
  readonly facts = new CountedFacts()
  readonly #log: ShakyLog
  readonly #random: () => number
  #position = 0
  #delivering = false

  constructor(
    log: ShakyLog,
    random: () => number,
    committed: () => Position | null,
    build: string,
    folder: ColdFolder | null = null,
  ) {
    this.#log = log
    this.#random = random
    this.worker = new PartitionWorker(0, {
      producer: log.producer(),
      reader: log.reader(),
      admin: log.admin(committed),
      salts: SALTS,
      tools: { ...TOOLS, build },
      reading: READING,
      rulesOf: () => RULES,
      maxSessionTimeoutMs: () => RULES.sessionTimeoutMs,
      config: { at: () => -1, waitFor: async () => {}, gapAt: () => null },
      facts: this.facts,
      clock: () => NOON,
      batchEveryMs: 0,
      aside: folder && { folder, sessions: 0, entries: 8 },
      checkpoints: folder && new Checkpoints(folder, build, this.facts.checkpointUnreadable, { rows: 5, ms: 0 }),
      isCrowded: () => false,
      delivery: {
        seek: (_, offset) => {
          this.#position = offset
        },
        pause: () => {},
        resume: () => {},
      },
    })
  }

  start(): void {
    this.worker.start()
  }

  /** Delivers until told to stop. */
  async deliver(): Promise<void> {
    this.#delivering = true
    while (this.#delivering) {
      const records = this.#log.records(HITS_RAW.name)
      const some = records.slice(this.#position, this.#position + 1 + Math.floor(this.#random() * 4))
      this.#position += some.length
      if (some.length > 0) this.worker.offer(some)
      await this.#log.turns(6)
    }
  }

  async stop(): Promise<void> {
    this.#delivering = false
    await this.worker.park()
  }
}

/** The records that every reader of the chain accepts. */
function accepted(records: readonly StoredRecord[]) {
  let head = -1
  return records
    .filter((stored) => {
      if (decodeEnriched(stored).prev !== head) return false
      head = stored.offset
      return true
    })
    .map(decodeEnriched)
}

/** What a hit's row says, without who wrote it. */
const facts = ({ build: _, ...row }: HitRow): unknown => row

const path = mkdtempSync(join(tmpdir(), 'millrace-chain-'))
afterAll(() => rmSync(path, { recursive: true }))

/** The folder of an owner. */
const folderOf = (name: string): ColdFolder =>
  new ColdFolder(
    join(path, name),
    (error) => {
      throw error
    },
    true,
  )

describe('the chain', () => {
  it.each([1, 2, 3, 4, 5, 6].flatMap((seed) => [[seed, ''] as const, [seed, ', with checkpoints'] as const]))(
    'accepts what a sequential run gives, whoever writes and whatever is lost or repeated (seed %i%s)',
    async (seed, checkpoints) => {
      const random = seededRandom(seed)
      const log = new ShakyLog(random)
      const records = raw(40, random)
      for (const record of records) log.write(HITS_RAW.name, record, record.timestamp)
      let committed: Position | null = null
      const owners = ['one', 'two'].map(
        (build) => new Owner(log, random, () => committed, build, checkpoints ? folderOf(`${seed}-${build}`) : null),
      )
      for (const owner of owners) {
        owner.start()
        void owner.deliver()
      }
      const isDone = (): boolean => {
        // Commits by turns, also of an owner that is behind: only a position that the chain confirms is ever used.
        committed = owners[random() < 0.5 ? 0 : 1]!.worker.takePosition() ?? committed
        return accepted(log.records(HITS_ENRICHED.name)).at(-1)?.srcTo === records.length - 1
      }
      await waitUntil('all is enriched', isDone)
      for (const owner of owners) await owner.stop()
      expect(owners.flatMap(({ facts }) => facts.failures)).toEqual([])

      const sequential = new Lab()
      for (const record of records) sequential.enrich([record])
      const chain = accepted(log.records(HITS_ENRICHED.name))
      expect(chain.map(({ srcFrom }) => srcFrom)).toEqual([0, ...chain.slice(0, -1).map(({ srcTo }) => srcTo + 1)])
      expect(chain.flatMap(({ hits }) => readRows<HitRow>(hits)).map(facts)).toEqual(sequential.rows().map(facts))
      const bare = (rows: SessionRow[]): string[] =>
        collapse(rows)
          .map((row) => contentOf({ ...row, version: 0 }))
          .toSorted()
      expect(bare(chain.flatMap(({ sessions }) => readRows<SessionRow>(sessions)))).toEqual(
        bare(sequential.sessionRows()),
      )
      expect(owners[0]!.facts.supersessions + owners[1]!.facts.supersessions + log.doubts).toBeGreaterThan(0)
    },
  )

  it('goes on where another owner stopped, from its commit', async () => {
    const random = seededRandom(7)
    const log = new ShakyLog(random)
    const records = raw(60, random)
    for (const record of records.slice(0, 30)) log.write(HITS_RAW.name, record, record.timestamp)
    const first = new Owner(log, random, () => null, 'one')
    first.start()
    void first.deliver()
    // What is in the log may still be in doubt: until its owner knows, it has nothing to commit.
    const committed = await waitUntil('the first half', () => {
      const position = first.worker.takePosition()
      return position?.offset === 30 ? position : null
    })
    await first.stop()
    for (const record of records.slice(30)) log.write(HITS_RAW.name, record, record.timestamp)
    const second = new Owner(log, random, () => committed, 'two')
    second.start()
    void second.deliver()
    await waitUntil('the second half', () => accepted(log.records(HITS_ENRICHED.name)).at(-1)?.srcTo === 59)
    await second.stop()

    const sequential = new Lab()
    for (const record of records) sequential.enrich([record])
    const rows = accepted(log.records(HITS_ENRICHED.name)).flatMap(({ hits }) => readRows<HitRow>(hits))
    expect(rows.map(facts)).toEqual(sequential.rows().map(facts))
  })

  it('keeps its state when nobody else wrote while it was away, and restores it when somebody did', async () => {
    const random = seededRandom(8)
    const log = new ShakyLog(() => 0.99)
    const records = raw(9, random)
    const owners = [new Owner(log, random, () => null, 'one'), new Owner(log, random, () => null, 'two')] as const
    const enrichUpTo = async (owner: Owner, from: number, to: number): Promise<void> => {
      for (const record of records.slice(from, to)) log.write(HITS_RAW.name, record, record.timestamp)
      owner.start()
      void owner.deliver()
      await waitUntil('all is enriched', () => accepted(log.records(HITS_ENRICHED.name)).at(-1)?.srcTo === to - 1)
      await owner.stop()
    }
    await enrichUpTo(owners[0], 0, 3)
    await enrichUpTo(owners[0], 3, 6)
    expect(owners[0].facts.restores).toBe(1)
    await enrichUpTo(owners[1], 6, 8)
    await enrichUpTo(owners[0], 8, 9)
    expect(owners[0].facts.restores).toBe(2)
  })

  it('reads after a restart only what came since its checkpoint', async () => {
    const random = seededRandom(10)
    const log = new ShakyLog(() => 0.99)
    for (const record of raw(30, random)) log.write(HITS_RAW.name, record, record.timestamp)
    const run = async (): Promise<CountedFacts> => {
      const owner = new Owner(log, random, () => null, 'one', folderOf('restart'))
      owner.start()
      void owner.deliver()
      await waitUntil(
        'all is enriched',
        () => accepted(log.records(HITS_ENRICHED.name)).at(-1)?.srcTo === log.records(HITS_RAW.name).length - 1,
      )
      await waitUntil('it has begun', () => owner.facts.restores > 0)
      await owner.stop()
      return owner.facts
    }
    await run()
    const facts = await run()
    expect(facts.restores).toBe(1)
    expect(facts.restoredRows).toBeLessThan(10)
  })

  it('stops at a hole, and says how to go on', async () => {
    const random = seededRandom(9)
    const log = new ShakyLog(() => 0.99)
    for (const record of raw(4, random)) log.write(HITS_RAW.name, record, record.timestamp)
    log.records(HITS_RAW.name).splice(1, 2)
    const owner = new Owner(log, random, () => null, 'one')
    owner.start()
    void owner.deliver()
    await waitUntil('it has stopped', () => owner.worker.problem)
    await owner.stop()
    expect(owner.facts.stops).toEqual([expect.any(Hole)])
    expect(owner.worker.problem).toMatch(/next record to enrich is 1, but the log goes on at 3.*millrace resume/)
    expect(accepted(log.records(HITS_ENRICHED.name)).at(-1)).toMatchObject({ srcTo: 0 })
  })
})
