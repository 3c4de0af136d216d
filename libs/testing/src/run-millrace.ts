import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

const STANDALONE = fileURLToPath(new URL('../../../services/standalone', import.meta.url))
const COMMAND = join(STANDALONE, 'bin/millrace')

/** What a command came to. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The environment without settings of Millrace: who runs the tests may have some. */
export function plainEnvironment(): Record<string, string | undefined> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_') && name !== 'VITEST')
  return Object.fromEntries(inherited)
}

/** Starts a command of `millrace`, as it was built, with these settings and no others. @throws Error when nothing was built */
export function spawnMillrace(args: readonly string[], settings: Readonly<Record<string, string>> = {}) {
  if (!existsSync(join(STANDALONE, 'dist'))) throw new Error(`${STANDALONE} is not built: build first (npx tsc -b)`)
  return spawn(COMMAND, args, {
    env: { ...plainEnvironment(), npm_node_execpath: process.execPath, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Resolves with what it wrote when it has ended. */
export async function runMillrace(
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<Ran> {
  return await outcomeOf(spawnMillrace(args, settings))
}

/** The same of a command that was started before. */
export async function outcomeOf(child: ReturnType<typeof spawnMillrace>): Promise<Ran> {
  const [code, stdout, stderr] = await Promise.all([exitOf(child), text(child.stdout), text(child.stderr)])
  return { code, stdout, stderr }
}

const exitOf = (child: ChildProcess): Promise<number | null> => new Promise((resolve) => child.once('close', resolve))
