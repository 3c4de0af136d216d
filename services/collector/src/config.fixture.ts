import type { Key } from '@millrace/config'
import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import type { Intake } from './take-hits.ts'

/** Every site there could be, open. */
export const EVERY_SITE: Intake['config'] = { at: () => -1, keyOf: () => null, settingsOf: () => DEFAULT_SITE_SETTINGS }

/** Sites and keys that a test changes at will. */
export interface ConfigFixture {
  readonly config: Intake['config']
  set(site: string, settings: Partial<SiteSettings>): void
  remove(site: string): void
  /** A key, by its text. */
  add(text: string, key: Partial<Key>): void
}

/** With the site `default`, which is open. */
export function configFixture(): ConfigFixture {
  const sites = new Map<string, SiteSettings>([['default', DEFAULT_SITE_SETTINGS]])
  const keys = new Map<string, Key>()
  let at = 0
  return {
    config: { at: () => at, settingsOf: (site) => sites.get(site) ?? null, keyOf: (text) => keys.get(text) ?? null },
    set(site, settings) {
      at++
      sites.set(site, { ...DEFAULT_SITE_SETTINGS, ...settings })
    },
    remove(site) {
      at++
      sites.delete(site)
    },
    add(text, key) {
      at++
      keys.set(text, { id: text, name: '', scopes: ['ingest'], sites: [], created_at: '', ...key })
    },
  }
}
