import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { CheckOptions, Place } from './check-folder.ts'
import type { CheckReport } from './findings.ts'

export type CheckRequest = Place &
  Omit<CheckOptions, 'journal' | keyof Place> & { readonly journalPath?: string; readonly plant?: string }

/** Checks a stopped installation in a new process, which alone opens its folder. @throws Error when the check itself failed */
export async function runCheck(request: CheckRequest): Promise<CheckReport> {
  const cli = fileURLToPath(new URL('./cli.ts', import.meta.url))
  // The visitors, sessions and totals of an hour's load are kept at once.
  const node = ['--max-old-space-size=12000', '--conditions=source', '--import', 'tsx']
  const child = spawn(process.execPath, [...node, cli, JSON.stringify(request)])
  const output: Buffer[] = []
  const errors: Buffer[] = []
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk))
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const code = await new Promise((resolve) => child.on('close', resolve))
  if (code !== 0) throw new Error(`the check failed (${code}): ${Buffer.concat(errors).toString().slice(-4_000)}`)
  return JSON.parse(Buffer.concat(output).toString())
}
