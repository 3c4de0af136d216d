import { readFileSync } from 'node:fs'
import { SiteSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { KEY_SCOPES } from './key.ts'

const page = readFileSync(new URL('../../../docs/reference/sites-and-keys.md', import.meta.url), 'utf8')

describe('docs/reference/sites-and-keys.md', () => {
  it('lists every setting of a site with its default and its meaning, and no other', () => {
    const rows = Object.entries(SiteSettings.properties).map(([name, { default: value, description }]) => {
      const shown = value === '' || Array.isArray(value) ? 'empty' : `\`${value}\``
      return `| \`${name}\` | ${shown} | ${description} |`
    })
    const section = page.slice(page.indexOf('## Settings of a site'), page.indexOf('\n## Keys'))
    expect(section.match(/^\| `.*$/gm)).toEqual(rows)
  })

  it('lists every scope', () => {
    const section = page.slice(page.indexOf('\n## Keys'))
    expect([...section.matchAll(/^\| `(\w+)`/gm)].map(([, scope]) => scope)).toEqual(KEY_SCOPES)
  })
})
