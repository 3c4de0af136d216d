/**
 * The reference pages that are made from the code: `npm run docs` writes them, and a test fails when they differ.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { ERROR_CODES, type SettingsSpec } from '@millrace/shared'
import { ALL_SETTINGS } from '../services/standalone/src/settings.ts'
import { botsPage } from './bots-page.ts'
import { channelsPage, sourcesPage } from './source-pages.ts'

/** Path of a reference page. */
export const referencePath = (page: string): string =>
  fileURLToPath(new URL(`../docs/reference/${page}`, import.meta.url))

function settingsPage(spec: SettingsSpec): string {
  const rows = Object.entries(spec)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, { shown, description, secret }]) => {
      const file = secret ? ` Or \`${name}_FILE\`, the path of a file that holds it` : ''
      return `| \`${name}\` | ${shown === 'empty' ? 'empty' : `\`${shown}\``} | ${description}.${file} |`
    })
  return `# Settings

Environment variables. All wrong ones are reported at once, by name; an unknown name that starts with \`MILLRACE_\` is an
error, so that a typing mistake is never ignored. An empty value counts as missing.

| name | default | meaning |
| --- | --- | --- |
${rows.join('\n')}
`
}

function errorsPage(): string {
  const rows = Object.entries(ERROR_CODES).map(([code, [status, title]]) => `| \`${code}\` | ${status} | ${title} |`)
  return `# Errors

Every error of the HTTP API is a problem document (RFC 9457, \`application/problem+json\`):
\`{"type", "title", "status", "code", "detail", "errors"}\`. \`code\` is one of these and does not change; \`detail\` is for
people; \`errors\` lists what is wrong with which field, as \`{"code", "pointer", "detail"}\` with a JSON pointer into the body.
429 and 503 carry \`Retry-After\` in seconds.

| code | status | meaning |
| --- | --- | --- |
${rows.join('\n')}
`
}

export const PAGES: Record<string, () => string> = {
  'settings.md': () => settingsPage(ALL_SETTINGS),
  'errors.md': errorsPage,
  'bots.md': botsPage,
  'channels.md': channelsPage,
  'sources.md': sourcesPage,
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [page, make] of Object.entries(PAGES)) writeFileSync(referencePath(page), make())
}
