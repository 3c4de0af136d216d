import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'

/** Runs `close` under onShutdown in a process of its own, until it says that it is up. */
async function run(
  close: string,
  deadlineMs: number,
  then = '',
): Promise<{ child: ChildProcess; ended: Promise<[number, string]> }> {
  const code = `
    import { onShutdown } from ${JSON.stringify(new URL('./shut-down.ts', import.meta.url).href)}
    setInterval(() => {}, 1000)
    onShutdown(async () => { ${close} }, { deadlineMs: ${deadlineMs} })
    console.log('up')
    ${then}`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout!.on('data', (chunk) => {
    output += chunk
  })
  const ended = once(child, 'close').then(([status]): [number, string] => [status, output])
  while (!output.includes('up')) await once(child.stdout!, 'data')
  return { child, ended }
}

describe('onShutdown', () => {
  it('it waits for close and ends with 0 after SIGTERM', async () => {
    const { child, ended } = await run(`await new Promise((r) => setTimeout(r, 50)); console.log('closed')`, 10_000)
    child.kill('SIGTERM')
    expect(await ended).toEqual([0, 'up\nclosed\n'])
  })

  it('it ends with 1 when close takes longer than the deadline', async () => {
    const { child, ended } = await run(`await new Promise(() => {})`, 100)
    child.kill('SIGTERM')
    expect((await ended)[0]).toBe(1)
  })

  it('it closes and ends with 1 after an error that nobody caught', async () => {
    const { ended } = await run(`console.log('closed')`, 10_000, `setTimeout(() => { throw new Error('x') }, 10)`)
    expect(await ended).toEqual([1, 'up\nclosed\n'])
  })
})
