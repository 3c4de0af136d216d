import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Cluster } from '../../../infra/cluster/cluster.mjs'

const CLI = fileURLToPath(new URL('../../../services/standalone/dist/cli.js', import.meta.url))

/** What a command came to. */
export interface Ran {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The command line as an operator of the cluster calls it: Kafka and ClickHouse by settings, no instance by its address. */
export function millraceOn(
  cluster: Cluster,
  settings: Readonly<Record<string, string>> = {},
): (...args: string[]) => Promise<Ran> {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_'))
  const env = {
    ...Object.fromEntries(inherited),
    MILLRACE_LOG: 'kafka',
    MILLRACE_KAFKA_BROKERS: cluster.brokers.join(','),
    MILLRACE_CLICKHOUSE_URL: cluster.urlOf('clickhouse'),
    ...settings,
  }
  return async (...args) => {
    const child = spawn(process.execPath, [CLI, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
    const [stdout, stderr]: [Buffer[], Buffer[]] = [[], []]
    child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk))
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
    return { code, stdout: Buffer.concat(stdout).toString(), stderr: Buffer.concat(stderr).toString() }
  }
}
