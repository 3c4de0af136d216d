import { readFileSync } from 'node:fs'
import { GOAL_TYPES, SiteSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { KEY_SCOPES } from './key.ts'

const page = readFileSync(new URL('../../../docs/reference/sites-and-keys.md', import.meta.url), 'utf8')
/** Fields of every goal. */
const COMMON = ['name', 'value', 'currency']

describe('docs/reference/sites-and-keys.md', () => {
  it('lists every setting of a site with its default and its meaning, and no other', () => {
    const rows = Object.entries(SiteSettings.properties).map(([name, { default: value, description }]) => {
      const shown = value === '' || Array.isArray(value) ? 'empty' : `\`${value}\``
      return `| \`${name}\` | ${shown} | ${description} |`
    })
    const section = page.slice(page.indexOf('## Settings of a site'), page.indexOf('\n## Goals'))
    expect(section.match(/^\| `.*$/gm)).toEqual(rows)
  })

  it('lists every type of goal with its fields, and names the fields that all have', () => {
    const section = page.slice(page.indexOf('\n## Goals'), page.indexOf('\n## Keys'))
    const rows = [...section.matchAll(/^\| `(\w+)` \| (.*?) \|/gm)].map(([, type, fields]) => [type, fields])
    const own = ({ properties }: (typeof GOAL_TYPES)[keyof typeof GOAL_TYPES]) => {
      const names = Object.keys(properties).filter((name) => !['type', ...COMMON].includes(name))
      return names.map((name) => `\`${name}\``).join(', ')
    }
    expect(rows).toEqual(Object.entries(GOAL_TYPES).map(([type, schema]) => [type, own(schema)]))
    for (const name of COMMON) expect(section).toContain(`\`${name}\``)
  })

  it('lists every scope', () => {
    const section = page.slice(page.indexOf('\n## Keys'))
    expect([...section.matchAll(/^\| `(\w+)`/gm)].map(([, scope]) => scope)).toEqual(KEY_SCOPES)
  })
})
