import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { lockFolder } from './lock.ts'
import { removeTemporaryFolders, temporaryFolder } from './topic-log.fixture.ts'

/** A process that lives until it is killed. */
async function startProcess() {
  const child = spawn(process.execPath, ['-e', 'process.stdout.write("up"); setInterval(() => {}, 1e6)'])
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  await once(child.stdout, 'data')
  return child
}

/** The lock as that process would have left it. */
function lockOf(dir: string, pid: number, changes: object = {}): void {
  lockFolder(dir).release()
  const own = lockFolder(dir)
  const holder = JSON.parse(readFileSync(join(dir, 'lock'), 'utf8'))
  own.release()
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  writeFileSync(join(dir, 'lock'), JSON.stringify({ ...holder, pid, started, ...changes }))
}

afterAll(removeTemporaryFolders)

describe('the lock of a folder', () => {
  it('is given once, and again after its release', () => {
    const dir = temporaryFolder()
    const lock = lockFolder(dir)
    expect(lock.takenOverFrom).toBeNull()
    expect(() => lockFolder(dir)).toThrow('already open in this process')
    lock.release()
    lockFolder(dir).release()
    expect(readdirSync(dir)).toEqual([])
  })

  it('is refused while another process lives, and taken over when that was killed', async () => {
    const dir = temporaryFolder()
    const child = await startProcess()
    lockOf(dir, child.pid!)
    expect(() => lockFolder(dir)).toThrow(`in use by process ${child.pid}`)
    child.kill('SIGKILL')
    await once(child, 'exit')
    const lock = lockFolder(dir)
    expect(lock.takenOverFrom).toBe(child.pid)
    expect(readdirSync(dir)).toEqual(['lock'])
    lock.release()
  })

  it.each([
    ['a pid that was given to another process since', { started: '1' }],
    ['a process of an earlier boot', { boot: 'earlier' }],
  ])('is taken over from %s', async (_title, changes) => {
    const dir = temporaryFolder()
    lockOf(dir, process.pid, changes)
    lockFolder(dir).release()
    expect(existsSync(join(dir, 'lock'))).toBe(false)
  })

  it('is taken over when nobody can tell whose it is', () => {
    const dir = temporaryFolder()
    writeFileSync(join(dir, 'lock'), 'not ours')
    lockFolder(dir).release()
  })
})
