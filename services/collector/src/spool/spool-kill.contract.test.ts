import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { openEmbeddedLog } from '@millrace/log'
import { HITS_RAW } from '@millrace/shared'
import { expect, it, onTestFinished } from 'vitest'
import type { FromChild } from './spool.child.ts'
import { idsInLog, sendMany, type Weather } from './spool.lab.fixture.ts'

const CHILD = fileURLToPath(new URL('./spool.child.ts', import.meta.url))
const SENDERS = 6
const ANY = (_message: FromChild): boolean => true

class Child {
  readonly #process: ChildProcess
  readonly #closed: Promise<unknown>
  readonly #messages: FromChild[] = []
  #tell: () => void = () => undefined

  constructor(dir: string, weather: Weather, hangAfter = Number.POSITIVE_INFINITY) {
    const args = ['--conditions=source', '--import', 'tsx', CHILD, dir, JSON.stringify(weather), String(hangAfter)]
    this.#process = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    this.#closed = once(this.#process, 'close')
    onTestFinished(() => void this.#process.kill('SIGKILL'))
    this.#process.on('message', (message: FromChild) => {
      this.#messages.push(message)
      this.#tell()
    })
  }

  async told<Key extends string>(key: Key, enough = ANY): Promise<FromChild & Record<Key, unknown>> {
    for (;;) {
      const found = this.#messages.find((message) => key in message && enough(message))
      if (found) return found as FromChild & Record<Key, unknown>
      await new Promise<void>((told) => {
        this.#tell = told
      })
    }
  }

  /** It sends a word when the spool is empty, and ends. */
  async finish(): Promise<void> {
    this.#process.send('finish')
    await this.told('drained')
    await this.#closed
  }

  async kill(): Promise<void> {
    this.#process.kill('SIGKILL')
    expect(await this.#closed).toEqual([null, 'SIGKILL'])
  }
}

/** Lets senders loose on a collector that spools, and kills it after some answers. Gives the answered hit_ids. */
async function spoolAndKill(dir: string, weather: Weather, answers: number): Promise<string[]> {
  const child = new Child(dir, weather)
  const { url } = (await child.told('url')) as { url: string }
  const answered: string[] = []
  let killed: Promise<void> | undefined
  const sender = async (which: number): Promise<void> => {
    while (!killed) {
      const accepted = await sendMany(url, 1, `${weather} ${which} `.padEnd(1_500, 'x')).catch(() => null)
      // What the kill leaves unanswered may be in the log or not; nothing else goes unanswered, and nothing is refused.
      if (!killed) expect(accepted).toHaveLength(1)
      answered.push(...(accepted ?? []))
      if (answered.length >= answers) killed ??= child.kill()
    }
  }
  await Promise.all([...Array(SENDERS).keys()].map(sender))
  await killed
  return answered
}

/** Lets a collector bring its spool into a log that takes its time and then hangs, and kills it after these appends. */
async function drainAndKill(dir: string, appends: number): Promise<void> {
  const child = new Child(dir, 30, appends)
  await child.told('appended', (message) => (message as { appended: number }).appended >= appends)
  await child.kill()
}

it('it loses and doubles nothing that was answered, when it is killed while it spools and while it drains', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'spool-kill-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const answered: string[] = []
  answered.push(...(await spoolAndKill(dir, 'loses_answers', 40)))
  answered.push(...(await spoolAndKill(dir, 'hangs', 150)))
  await drainAndKill(dir, 1)
  answered.push(...(await spoolAndKill(dir, 'fails', 150)))
  await drainAndKill(dir, 2)
  await drainAndKill(dir, 2)
  expect(readdirSync(join(dir, 'spool')).filter((name) => name.endsWith('.spool'))).not.toEqual([])
  await new Child(dir, 'works').finish()
  expect(readdirSync(join(dir, 'spool'))).toEqual([])

  const log = await openEmbeddedLog({ dir: join(dir, 'log'), topics: [HITS_RAW], hitPartitions: 4 })
  const found = [...(await idsInLog(log)).values()].flat()
  await log.close()
  const counts = new Map<string, number>()
  for (const id of found) counts.set(id, (counts.get(id) ?? 0) + 1)
  expect(answered.filter((id) => counts.get(id) !== 1)).toEqual([])
  expect([...counts.values()].filter((count) => count > 1)).toEqual([])
})
