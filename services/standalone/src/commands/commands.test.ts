import { readdirSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Command, OptionValues } from './command.ts'

const NO_COMMANDS = ['command.ts', 'moved-folder.ts']
const names = readdirSync(new URL('.', import.meta.url))
  .filter((file) => /^[a-z-]+\.ts$/.test(file) && !NO_COMMANDS.includes(file))
  .map((file) => file.slice(0, -3))

const load = async (name: string): Promise<Command> =>
  ((await import(new URL(`${name}.ts`, import.meta.url).href)) as { command: Command }).command

describe('every command', () => {
  it.each(names)('%s says how it is used, with every option that it takes', async (name) => {
    const { help, options = {} } = await load(name)
    expect(help).toMatch(new RegExp(`^Usage: millrace ${name}\\b`))
    for (const option of Object.keys(options)) expect(help).toContain(`--${option}`)
  })
})

const NOWHERE = 'http://127.0.0.1:1'
const WRONG: readonly [name: string, values: OptionValues, words: readonly string[], says: string][] = [
  ['tail', {}, [], 'say which topic: hits.raw'],
  ['tail', {}, ['hits.cooked'], 'say which topic: hits.raw'],
  ['tail', { partition: 'x' }, ['hits.raw'], '--partition must be a whole number'],
  ['tail', { limit: '-1' }, ['hits.raw'], '--limit must be a whole number'],
  ['tail', { 'data-dir': '/no/such/folder' }, ['hits.raw'], 'holds no data'],
  ['backup', {}, [], 'say where to: millrace backup FILE'],
  [
    'backup',
    { url: NOWHERE, quiet: true },
    [join(tmpdir(), `millrace-no-backup-${process.pid}.tar`)],
    'cannot be reached',
  ],
  ['backup', {}, ['/dev/null'], 'exists already'],
  ['restore', {}, [], 'say which backup'],
  ['restore', {}, ['/no/such/file'], 'is no file'],
  ['verify', { url: NOWHERE, quiet: true }, [], 'cannot be reached'],
  ['verify', { url: 'nowhere' }, [], '--url must be an http or https URL'],
  ['verify', { 'data-dir': '/no/such/folder' }, [], 'holds no data'],
  ['key', { url: NOWHERE }, ['add'], 'say what for: --scope ingest | read | sql | admin'],
  ['resume', { partition: '1.5' }, [], '--partition must be a whole number'],
  ['resume', { 'data-dir': '/no/such/folder' }, [], 'holds no data'],
]

describe('a command that cannot do what it is told', () => {
  it.each(WRONG)('%s %j %j says why', async (name, values, words, says) => {
    await expect((await load(name)).run(values, words)).rejects.toThrow(says)
  })
})
