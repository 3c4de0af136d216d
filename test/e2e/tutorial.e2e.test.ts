/** Runs docs/tutorial.md: its commands in their order, each answer compared with the JSON that stands below it. */
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { freePort, type Product, startProduct, waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const page = readFileSync(join(root, 'docs/tutorial.md'), 'utf8')
const steps = [...page.matchAll(/```sh run\n([\s\S]*?)```\n(?:\n```json\n([\s\S]*?)```)?/g)].map(
  ([, command, expected]) => ({ command: command!.trim(), expected: expected?.trim() }),
)

const folder = mkdtempSync(join(tmpdir(), 'millrace-tutorial-'))
let product: Product

beforeAll(async () => {
  product = startProduct({ dataDir: folder, port: await freePort(), sites: [] })
  await product.ready()
})
afterAll(async () => {
  await product.stop()
  rmSync(folder, { recursive: true, force: true })
})

async function runInShell(command: string): Promise<string> {
  const here = command.replaceAll('http://127.0.0.1:8700', product.url)
  const env = { ...process.env, MILLRACE_URL: product.url }
  const { stdout } = await promisify(execFile)('bash', ['-euc', here], { cwd: root, env })
  return stdout
}

test('the tutorial has commands to run', () => expect(steps.length).toBeGreaterThan(8))

test.each(steps)('$command', async ({ command, expected }) => {
  if (expected === undefined) return expect(await runInShell(command)).not.toBe('')
  const answersAsShown = async (): Promise<true> => {
    expect(JSON.parse(await runInShell(command))).toMatchObject(JSON.parse(expected))
    return true
  }
  // Hits are sent once; reports have them a moment later.
  if (command.includes('/v1/hits')) await answersAsShown()
  else await waitUntil(`the answer is as shown: ${expected}`, answersAsShown)
})
