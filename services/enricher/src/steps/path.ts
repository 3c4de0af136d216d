import type { SiteSettings } from '@millrace/shared'
import { maskText } from './mask.ts'
import { type Page, readUrl } from './page.ts'
import { detach, MAX_PATH, readText } from './text.ts'

type PathSettings = Pick<SiteSettings, 'keep_hashes' | 'query_parameters' | 'mask_values'>

/**
 * The path that a row keeps: that of the url, with the parameters that the site names (in the site's order, so that their
 * order in the url makes no second page) and, for sites that route by it, the fragment. At most 2,048 units.
 */
export function keptPath(page: Page, url: unknown, site: PathSettings): string {
  const query = page.query === '' || site.query_parameters.length === 0 ? '' : keptQuery(page.query, site)
  const hash = site.keep_hashes && typeof url === 'string' && url.includes('#') ? keptHash(url, site) : ''
  return query === '' && hash === '' ? page.path : detach(readText(page.path + query + hash, MAX_PATH))
}

/** `?a=1&b=2` of the parameters that are kept; '' when there are none. */
function keptQuery(query: string, { query_parameters: names, mask_values: mask }: PathSettings): string {
  const given = new URLSearchParams(query)
  const kept = new URLSearchParams()
  for (const name of names) {
    for (const value of given.getAll(name)) kept.append(name, mask ? maskText(value) : value)
  }
  const text = kept.toString()
  return text === '' ? '' : `?${text}`
}

/**
 * The fragment of a router: `#/inbox`, `#!/inbox`, with the parameters of it that are kept. Of other fragments what stands
 * before a `?`, `&` or `=`: the rest may be a token (`#access_token=...`).
 */
function keptHash(url: string, site: PathSettings): string {
  const hash = readUrl(url)?.hash ?? ''
  if (hash === '') return ''
  if (!/^#!?\//.test(hash)) return hash.slice(0, Math.max(hash.search(/[?&=]|$/), 1)).replace(/^#$/, '')
  const question = hash.indexOf('?')
  if (question === -1) return hash
  return hash.slice(0, question) + (site.query_parameters.length > 0 ? keptQuery(hash.slice(question + 1), site) : '')
}
