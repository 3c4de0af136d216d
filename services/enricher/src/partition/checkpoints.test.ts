import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Hash64, NO_HASH, Uuid } from '@millrace/shared'
import { engagement, hitId, pageView, rawLine, rawValue } from '@millrace/testing'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ColdFolder } from '../cold/cold-folder.ts'
import { PartitionState } from '../sessions/partition-state.ts'
import { Session } from '../sessions/session.ts'
import { Lab, MINUTE, NOON, rawRecord, TOOLS } from '../testing/lab.ts'
import { AcceptedRecords } from './accepted.ts'
import { Checkpoints, removeLeftovers, removeOld } from './checkpoints.ts'

let path: string
let failures: unknown[]
let unreadable: unknown[]
beforeEach(() => {
  path = mkdtempSync(join(tmpdir(), 'millrace-checkpoints-'))
  failures = []
  unreadable = []
})
afterEach(() => rmSync(path, { recursive: true }))

const open = (): ColdFolder => new ColdFolder(path, (error) => failures.push(error), true)
const checkpointsIn = (folder: ColdFolder, build = 'one'): Checkpoints =>
  new Checkpoints(folder, build, (error) => unreadable.push(error))
const DAY = NOON / 86_400_000 - 0.5
const HEAD = { key: null, value: Buffer.from('rows'), headers: { prev: Buffer.from('41') } }
const record = { ...HEAD, offset: 42, timestamp: NOON }

/** A state of 40 visitors, of whom one is a flood and one looks at a page for long, nearly all of it put aside. */
function filled(folder: ColdFolder): PartitionState {
  const lab = new Lab({ hits: 3, perSecond: 1 }, { folder, sessions: 1, entries: 8 })
  const start = Array.from({ length: 6 }, (_, i) => {
    const signal = engagement({ page_id: hitId(100), engaged_ms: 5_000, created_at: NOON })
    const hit = { ...(i < 5 ? pageView({ created_at: NOON }) : signal), hit_id: hitId(100 + i) }
    return rawRecord(i, NOON, rawValue([rawLine([hit as never], { sent_at: NOON, ip: '203.0.113.0' })]))
  })
  lab.enrich(start)
  for (let i = 0; i < 40; i++) {
    const time = NOON + i * MINUTE
    const hit = { ...pageView({ url: `https://example.com/${i}`, created_at: time }), hit_id: hitId(i) }
    lab.enrich([rawRecord(i, time, rawValue([rawLine([hit as never], { sent_at: time, ip: `203.0.113.${i}` })]))])
  }
  return lab.state
}

/** What a state says without being asked for a visitor. */
const says = (state: PartitionState): unknown => ({
  times: [state.streamTime, state.memoryMs],
  counts: [state.sessionCount, state.dedupEntries],
  floods: state.hasFloods,
  days: [-1, 0, 1].map((day) => [state.hasSessionsOf(DAY + day), state.hasPagesOf(DAY + day)]),
  hitIds: [-1, 0, 1].map((day) => state.seen.mayKnow(Uuid.of(hitId(5)), DAY + day)),
})

const empty = (folder: ColdFolder): PartitionState =>
  new PartitionState(30 * MINUTE, { folder, sessions: 1, entries: 8 })

/** Saves a state as a process does that is killed then. */
function saveAndDie(build = 'one'): PartitionState {
  const folder = open()
  const state = filled(folder)
  const accepted = new AcceptedRecords(7)
  accepted.add(42, NOON)
  const point = { kp: TOOLS.kp, partition: 3, head: 42, nextRaw: 40, state, accepted }
  checkpointsIn(folder, build).save(point, HEAD)
  return state
}

describe('a checkpoint', () => {
  it('outlives its process, and nothing else of it does', () => {
    const saved = says(saveAndDie())
    writeFileSync(join(path, 'lock'), '')
    removeLeftovers(path)
    expect(readdirSync(path).sort()).toEqual(['lock', 'partition-3'])
    const folder = open()
    const found = checkpointsIn(folder).find(3, TOOLS.kp)!
    expect(found).toMatchObject({ head: 42, nextRaw: 40 })
    const state = empty(folder)
    const accepted = found.load(state)!
    expect(says(state)).toEqual(saved)
    expect(saved).toMatchObject({
      floods: true,
      days: [
        [false, false],
        [true, true],
        [false, false],
      ],
    })
    expect(saved).toMatchObject({ hitIds: [false, true, false] })
    const next = new Session(
      { site: 'shop', visitorId: new Hash64(1, 2), sessionId: NO_HASH, fromDay: 1, toDay: 1 },
      NOON,
    )
    state.addSession(next)
    expect(next.opened).toBeGreaterThan(40)
    expect([accepted.lastBelow(NOON), accepted.lastBelow(NOON + 1)]).toEqual([7, 42])
    // It is still there for another try, and the files that the state has taken are its own.
    expect(checkpointsIn(folder).find(3, TOOLS.kp)).not.toBeNull()
    state.close()
    expect(readdirSync(path).sort()).toEqual(['lock', 'partition-3'])
  })

  it('is of the record that it was made at', () => {
    saveAndDie()
    const found = checkpointsIn(open()).find(3, TOOLS.kp)!
    expect(found.isAt(record)).toBe(true)
    expect(found.isAt({ ...record, value: Buffer.from('other rows') })).toBe(false)
    expect(found.isAt({ ...record, headers: { prev: Buffer.from('40') } })).toBe(false)
  })

  it('is not read by another program, for another log, or behind another boot', () => {
    saveAndDie()
    expect(checkpointsIn(open(), 'two').find(3, TOOLS.kp)).toBeNull()
    expect(checkpointsIn(open()).find(3, TOOLS.kp + 1)).toBeNull()
    expect(checkpointsIn(open()).find(4, TOOLS.kp)).toBeNull()
    const file = join(path, 'partition-3', 'state.json')
    const saved = readFileSync(file, 'utf8')
    for (const change of [{ boot: 'earlier' }, { format: 0 }]) {
      writeFileSync(file, JSON.stringify({ ...JSON.parse(saved), ...change }))
      expect(checkpointsIn(open()).find(3, TOOLS.kp)).toBeNull()
    }
    expect(unreadable).toEqual([])
    writeFileSync(file, saved.slice(0, -10))
    expect(checkpointsIn(open()).find(3, TOOLS.kp)).toBeNull()
    expect(unreadable).toHaveLength(1)
  })

  it('says when it cannot be read', () => {
    saveAndDie()
    truncateSync(join(path, 'partition-3', 'arrays'), 100)
    const folder = open()
    const state = empty(folder)
    expect(checkpointsIn(folder).find(3, TOOLS.kp)!.load(state)).toBeNull()
    expect(unreadable).toEqual([new RangeError('a file ends before what was put into it')])
    state.close()
  })

  it('is not harmed by what is put aside after it', () => {
    const saved = says(saveAndDie())
    removeLeftovers(path)
    const folder = open()
    const checkpoint = checkpointsIn(folder).find(3, TOOLS.kp)!
    const first = empty(folder)
    checkpoint.load(first)
    for (const file of first.files) file.append(Buffer.alloc(5_000, 'x'))
    first.close()
    const second = empty(folder)
    checkpoint.load(second)
    expect(says(second)).toEqual(saved)
    second.close()
  })

  it('takes the place of the one before, and goes when it is old', () => {
    saveAndDie()
    const folder = open()
    const state = filled(folder)
    const accepted = new AcceptedRecords(-1)
    const checkpoints = checkpointsIn(folder)
    const save = (partition: number, head: number): void =>
      checkpoints.save({ kp: TOOLS.kp, partition, head, nextRaw: 1, state, accepted }, HEAD)
    save(3, 50)
    expect(checkpoints.find(3, TOOLS.kp)!.head).toBe(50)
    const long = new Date(Date.now() - 3 * 3_600_000)
    save(4, 51)
    utimesSync(join(path, 'partition-3'), long, long)
    removeOld(path)
    expect(existsSync(join(path, 'partition-3'))).toBe(false)
    expect(checkpoints.find(4, TOOLS.kp)!.head).toBe(51)
    expect(failures).toEqual([])
  })

  it('that the disk does not take is told, and leaves nothing behind', () => {
    const folder = open()
    const state = filled(folder)
    rmSync(path, { recursive: true })
    writeFileSync(path, '')
    checkpointsIn(folder).save(
      { kp: TOOLS.kp, partition: 3, head: 1, nextRaw: 1, state, accepted: new AcceptedRecords(-1) },
      HEAD,
    )
    expect(failures).toHaveLength(1)
    rmSync(path)
    appendFileSync(path, '')
  })
})
