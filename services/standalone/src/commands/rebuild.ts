import { setTimeout as sleep } from 'node:timers/promises'
import { type Instance, reachInstance } from '../admin/instance.ts'
import { ADMIN_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, settingsHelp } from './command.ts'

const POLL_MS = 500

export const command: Command = {
  help: `Usage: millrace rebuild --site ID [--days FROM..TO] [--dry-run]

Gives stored hits and sessions the days of the site's present time zone, deletes what is older than its retention, and makes
the daily numbers anew. It touches closed days only: those that end 60 hours or more before what is counted. Younger ones keep
their days until then; run it again. Hits are taken and counted meanwhile; reports about the days that are rebuilt can lack
some of them while it runs.

The instance at MILLRACE_URL does it (in a cluster an aggregator), one rebuild at a time. This command waits until it is
done; when it is interrupted, the instance goes on.

  --site ID           the site
  --days FROM..TO     only these days, both included: 2026-10-01..2026-10-31, or one day; all if left out
  --dry-run           only says what it would move and delete
  --url URL           the instance
  --json              prints JSON

${settingsHelp(ADMIN_COMMAND)}`,
  options: {
    site: { type: 'string' },
    days: { type: 'string' },
    'dry-run': { type: 'boolean' },
    url: { type: 'string' },
    json: { type: 'boolean' },
  },

  async run({ site, days, 'dry-run': dryRun = false, url, json }) {
    if (typeof site !== 'string' || site === '') throw new Error('say which site: millrace rebuild --site ID')
    const settings = settingsFrom(ADMIN_COMMAND, process.env)
    const instance = await reachInstance(settings, url as string | undefined, 'running')
    try {
      const path = `/v1/sites/${encodeURIComponent(site)}/rebuild`
      const begun = await instance.send('POST', path, { ...readDays(days as string | undefined), dry_run: dryRun })
      if (begun.state === 'running' && !json) console.error(`${describe(begun)} …`)
      const ended = begun.state === 'running' ? await waitFor(instance, path, begun.id) : begun
      console.log(json ? JSON.stringify(ended, null, 2) : describe(ended))
    } finally {
      await instance.close()
    }
  },
}

function readDays(days: string | undefined): { from?: string; to?: string } {
  if (days === undefined) return {}
  const [from = '', to = from, ...more] = days.split('..')
  if (more.length > 0 || (from === '' && to === ''))
    throw new Error('--days must be FROM..TO, such as 2026-10-01..2026-10-31')
  return { ...(from && { from }), ...(to && { to }) }
}

/** @throws Error when nobody works on it any more */
async function waitFor(instance: Instance, path: string, id: unknown): Promise<Record<string, unknown>> {
  for (;;) {
    await sleep(POLL_MS)
    const now = await instance.send('GET', path)
    if (now.id === id && now.state === 'done') return now
    if (now.state === 'interrupted')
      throw new Error('the rebuild was interrupted; it is continued by itself, see the log')
  }
}

const DONE: Record<string, string> = { dry_run: 'would rebuild', running: 'rebuilding', done: 'rebuilt' }

function describe(answer: Record<string, unknown>): string {
  if (answer.state === 'nothing_to_do') return `nothing to do: none of these days of site ${answer.site} is closed`
  const days = answer.from ? `the days from ${answer.from} to ${answer.to}` : `the days up to ${answer.to}`
  const rows = (what: string) => `${answer[`hits_${what}`]} hits and ${answer[`sessions_${what}`]} sessions`
  return `${DONE[String(answer.state)]} ${days} of site ${answer.site} in ${answer.timezone}: ${rows('moved')} to another day, ${rows('deleted')} deleted`
}
