import { existsSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

/** Unlicense: public domain, of isbot alone. Python-2.0 and CC-BY-4.0 (data with a notice) come with tools of development only. */
const ALLOWED = /^(MIT|MIT-0|Apache-2\.0|BSD-2-Clause|BSD-3-Clause|0BSD|ISC|CC0-1\.0|Unlicense)$/

interface Locked {
  dev?: boolean
  optional?: boolean
  link?: boolean
  license?: string
}
const lock = JSON.parse(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')) as {
  packages: Record<string, Locked>
}

/** The licence as installed, because lock files leave it out now and then. */
function licenceOf(path: string, locked: Locked): string {
  const manifest = new URL(`../${path}/package.json`, import.meta.url)
  const installed = existsSync(manifest) ? JSON.parse(readFileSync(manifest, 'utf8')).license : undefined
  return installed ?? locked.license ?? 'unknown'
}

test('every package that a user installs has a licence that we take', () => {
  const shipped = Object.entries(lock.packages).filter(
    ([path, { dev, link }]) => path.includes('node_modules/') && !dev && !link,
  )
  expect(shipped.length).toBeGreaterThan(20)
  const refused = shipped
    .map(([path, locked]) => `${path}: ${licenceOf(path, locked)}`)
    .filter((line) => {
      const licence = line.split(': ')[1]!
      return !licence
        .replaceAll(/[()]/g, '')
        .split(' OR ')
        .some((one) => one.split(' AND ').every((part) => ALLOWED.test(part)))
    })
  expect(refused).toEqual([])
})
