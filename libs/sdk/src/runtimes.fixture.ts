import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Another runtime, in the version that is tested, and how it runs a program that may use the network of this machine. */
const RUNTIMES = {
  bun: { version: '1.4.5', args: ['run'] },
  deno: { version: '2.9.6', args: ['run', '--quiet', '--no-prompt', '--allow-net=127.0.0.1'] },
} as const
export type RuntimeName = keyof typeof RUNTIMES

/** Beside the packages, so that it is fetched once and goes when they go. */
const CACHE = fileURLToPath(new URL('../../../node_modules/.cache/millrace-runtimes', import.meta.url))

/** The command of a runtime: from the PATH, else from the npm registry; a text says why it cannot be had. */
export async function findRuntime(name: RuntimeName): Promise<{ command: string; args: readonly string[] } | string> {
  const { version, args } = RUNTIMES[name]
  const folder = join(CACHE, `${name}-${version}`)
  const fetched = join(folder, 'node_modules', '.bin', name)
  if (existsSync(fetched)) return { command: fetched, args }
  if (await starts(name)) return { command: name, args }
  try {
    const options = [
      '--no-save',
      '--no-package-lock',
      '--no-audit',
      '--no-fund',
      '--silent',
      '--fetch-retries=0',
      '--prefix',
      folder,
    ]
    await run('npm', ['install', ...options, `${name}@${version}`], { timeout: 90_000 })
  } catch {
    return `${name} is not installed, and ${name}@${version} could not be had from the npm registry`
  }
  return (await starts(fetched)) ? { command: fetched, args } : `${name}@${version} does not start on this machine`
}

const starts = (command: string): Promise<boolean> =>
  run(command, ['--version'], { timeout: 60_000 }).then(
    () => true,
    () => false,
  )
