import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const planted = fileURLToPath(new URL('./planted', import.meta.url))
const config = fileURLToPath(new URL('../dependency-cruiser.config.mjs', import.meta.url))
const cruiser = fileURLToPath(new URL('../node_modules/.bin/depcruise', import.meta.url))

/** Names of the rules that the planted tree breaks. */
const brokenRules = (): Promise<string[]> =>
  new Promise((resolve, reject) => {
    const args = ['--config', config, '--output-type', 'json', 'libs', 'services']
    execFile(cruiser, args, { cwd: planted, maxBuffer: 1 << 24 }, (error, stdout) => {
      if (!stdout) return reject(error)
      const { summary } = JSON.parse(stdout) as { summary: { violations: { rule: { name: string } }[] } }
      resolve([...new Set(summary.violations.map((violation) => violation.rule.name))].sort())
    })
  })

test('every import rule bites on a planted violation', async () => {
  expect(await brokenRules()).toEqual([
    'config-reads-and-writes-a-topic',
    'libraries-know-no-service',
    'only-one-package-imports-chdb',
    'only-one-package-imports-clickhouseclient',
    'only-one-package-imports-kafkajs',
    'packages-by-their-public-face',
    'services-talk-through-topics',
    'shared-imports-nothing-of-ours',
    'steps-know-no-client',
  ])
}, 60_000)
