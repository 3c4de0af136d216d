import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { expect, it, onTestFinished } from 'vitest'
import { KILL_GROUP, KILL_TOPIC, killedValue } from './kill.load.ts'
import { openEmbeddedLog } from './open.ts'

const ROUNDS = 6
const CHILD = fileURLToPath(new URL('./kill.child.ts', import.meta.url))

interface Acknowledged {
  /** Per partition: the offset after the last acknowledged record. */
  readonly ends: number[]
  /** Of the last acknowledged commit. */
  commit: string
  appends: number
}

/** Lets a process append under load, and kills it some time after its first acknowledgement. */
async function runAndKill(dir: string): Promise<Acknowledged> {
  const child = spawn(process.execPath, ['--conditions=source', '--import', 'tsx', CHILD, dir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const acknowledged: Acknowledged = { ends: [0, 0, 0, 0], commit: '', appends: 0 }
  const closed = once(child, 'close')
  for await (const line of createInterface(child.stdout)) {
    const [kind, first, second, third] = line.split(' ')
    if (kind === 'c') acknowledged.commit = `${first} ${second}`
    if (kind !== 'a') continue
    const end = Number(second) + Number(third)
    expect(end).toBeGreaterThan(acknowledged.ends[Number(first)]!)
    acknowledged.ends[Number(first)] = end
    if (acknowledged.appends++ === 0) void setTimeout(Math.random() * 500).then(() => child.kill('SIGKILL'))
  }
  const [, signal] = await closed
  expect(signal).toBe('SIGKILL')
  return acknowledged
}

it('the embedded log has everything that it acknowledged after kill -9, each record once and in its place', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-kill-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  for (let round = 0; round < ROUNDS; round++) {
    const acknowledged = await runAndKill(dir)
    const log = await openEmbeddedLog({ dir, hitPartitions: 4 })
    expect(log.startNotices.map(({ kind }) => kind)).toContain('lock_taken_over')
    const ends = await log.admin().endOffsets(KILL_TOPIC.name)
    for (const [partition, end] of ends) {
      expect(end).toBeGreaterThanOrEqual(acknowledged.ends[partition]!)
      let next = 0
      for await (const batch of log.reader().read(KILL_TOPIC.name, partition, 0, end))
        for (const { offset, value } of batch) {
          if (offset !== next || !value!.equals(killedValue(partition, offset))) expect.fail(`${partition}/${offset}`)
          next++
        }
      expect(next).toBe(end)
    }
    const committed = [...(await log.admin().committed(KILL_GROUP, KILL_TOPIC.name)).values()]
    const numbers = new Set(committed.map(({ metadata }) => metadata.split(' ').slice(0, 2).join(' ')))
    if (acknowledged.commit !== '') {
      expect(numbers.size).toBe(1)
      const [pid, number] = [...numbers][0]!.split(' ')
      const [ackedPid, ackedNumber] = acknowledged.commit.split(' ')
      expect(pid).toBe(ackedPid)
      expect(Number(number)).toBeGreaterThanOrEqual(Number(ackedNumber))
    }
    await log.close()
  }
})
