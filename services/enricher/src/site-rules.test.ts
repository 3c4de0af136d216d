import { DEFAULT_SITE_SETTINGS, type SiteSettings } from '@millrace/shared'
import { describe, expect, it } from 'vitest'
import { rulesOfSites } from './site-rules.ts'

const INSTALLATION = { MILLRACE_TIMEZONE: 'Europe/Vienna', MILLRACE_SESSION_TIMEOUT_MINUTES: 30 }

function lab() {
  const sites = new Map<string, SiteSettings>()
  let tell = (): void => {}
  const book = {
    settingsOf: (site: string) => sites.get(site) ?? null,
    sites: () => sites,
    onChange: (listener: () => void) => {
      tell = listener
      return () => {}
    },
  }
  const rules = rulesOfSites(book, INSTALLATION)
  return {
    rules,
    put(site: string, settings: Partial<SiteSettings> | null) {
      if (settings === null) sites.delete(site)
      else sites.set(site, { ...DEFAULT_SITE_SETTINGS, ...settings })
      tell()
    },
  }
}
const shown = ({ days, sessionTimeoutMs }: { days: { zone: string }; sessionTimeoutMs: number }) => [
  days.zone,
  sessionTimeoutMs / 60_000,
]

describe('rules of sites', () => {
  it("are the installation's where a site says nothing, or is unknown", () => {
    const { rules, put } = lab()
    put('blog', {})
    expect(shown(rules.rulesOf('blog'))).toEqual(['Europe/Vienna', 30])
    expect(shown(rules.rulesOf('nobody'))).toEqual(['Europe/Vienna', 30])
  })

  it('are the same object until the site changes', () => {
    const { rules, put } = lab()
    put('blog', { timezone: 'Asia/Tokyo', session_timeout_minutes: 60 })
    const first = rules.rulesOf('blog')
    expect(shown(first)).toEqual(['Asia/Tokyo', 60])
    put('shop', { timezone: 'Asia/Tokyo' })
    expect(rules.rulesOf('blog')).toBe(first)
    expect(rules.rulesOf('shop').days).toBe(first.days)
    put('blog', { timezone: 'UTC' })
    expect(shown(rules.rulesOf('blog'))).toEqual(['UTC', 30])
    put('blog', null)
    expect(shown(rules.rulesOf('blog'))).toEqual(['Europe/Vienna', 30])
  })

  it('tell the longest timeout of any site', () => {
    const { rules, put } = lab()
    expect(rules.maxSessionTimeoutMs()).toBe(30 * 60_000)
    put('blog', { session_timeout_minutes: 240 })
    put('shop', { session_timeout_minutes: 5 })
    expect(rules.maxSessionTimeoutMs()).toBe(240 * 60_000)
    put('blog', null)
    expect(rules.maxSessionTimeoutMs()).toBe(30 * 60_000)
  })
})
