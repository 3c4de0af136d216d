import { type Instance, reachInstance } from '../admin/instance.ts'
import { table } from '../admin/table.ts'
import { ADMIN_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace delete --site ID --filter JSON [--from TIME] [--to TIME] [--preview]
       millrace delete --site ID --list
       millrace delete --site ID --undo DELETION

Deletes the page views and events that a filter chooses, as far as they are counted now, and what belongs to them: their
engagement signals and duplicates. Sessions are made anew from the hits that they have left, and go with the last one. No
report and no SQL view shows any of it from then on; it is deleted from disk when its days are closed, about five days after
they ended, by a rebuild (millrace rebuild --help).

  --site ID           the site
  --filter JSON       as a query takes it: '{"dimension":"path","is":["/secret"]}'
  --from TIME         from this day or time on: 2026-10-01, 2026-10-01T09:00:00Z; ever since if left out
  --to TIME           up to the end of this day, or this time; until now if left out
  --timezone ZONE     of days; the site's if left out
  --preview           only says what would go, by day
  --list              lists the deletions of the site, and how they stand
  --undo DELETION     shows again what of it is still on disk
  --url URL           the instance
  --json              prints JSON

${settingsHelp(ADMIN_COMMAND)}`,
  options: {
    site: { type: 'string' },
    filter: { type: 'string' },
    from: { type: 'string' },
    to: { type: 'string' },
    timezone: { type: 'string' },
    preview: { type: 'boolean' },
    list: { type: 'boolean' },
    undo: { type: 'string' },
    url: { type: 'string' },
    json: { type: 'boolean' },
  },

  async run(values) {
    const { site, undo, list, url } = values
    if (typeof site !== 'string' || site === '') throw new Error('say which site: millrace delete --site ID')
    const wanted = list || undo !== undefined ? null : readWanted(values)
    const settings = settingsFrom(ADMIN_COMMAND, process.env)
    const instance = await reachInstance(settings, url as string | undefined, 'running')
    const path = `/v1/sites/${encodeURIComponent(site)}/deletions`
    try {
      if (wanted) console.log(await takeAway(instance, path, wanted, values))
      else if (list) console.log(await listAll(instance, path, values))
      else {
        await instance.send('DELETE', `${path}/${encodeURIComponent(String(undo))}`)
        console.log(`shows again what deletion ${undo} had hidden`)
      }
    } finally {
      await instance.close()
    }
  },
}

/** @throws Error when the filter is missing or no JSON */
function readWanted({ filter, from, to, timezone, preview = false }: OptionValues): Record<string, unknown> {
  if (typeof filter !== 'string') throw new Error('say which hits: --filter \'{"dimension":"path","is":["/secret"]}\'')
  try {
    return {
      filter: JSON.parse(filter),
      preview,
      ...(from && { from }),
      ...(to && { to }),
      ...(timezone && { timezone }),
    }
  } catch {
    throw new Error('--filter must be JSON')
  }
}

async function takeAway(
  instance: Instance,
  path: string,
  wanted: Record<string, unknown>,
  { json }: OptionValues,
): Promise<string> {
  const answer = await instance.send('POST', path, wanted)
  if (json) return JSON.stringify(answer, null, 2)
  const sums = `${answer.page_views} page views and ${answer.events} events of ${answer.visitors} visitors in ${answer.sessions} sessions, ${answer.sessions_deleted} of them whole`
  if (answer.state === 'nothing_to_do') return 'nothing to do: the filter chooses no hit'
  if (answer.state === 'hidden') return `deleted ${sums}: deletion ${answer.id}`
  const days = answer.days as Record<string, unknown>[]
  const head = ['day', 'page views', 'events', 'visitors', 'sessions', 'whole sessions', 'closed']
  const rows = days.map((day) => [
    ...[day.date, day.page_views, day.events, day.visitors, day.sessions, day.sessions_deleted].map(String),
    day.closed ? 'yes' : 'no',
  ])
  return `would delete ${sums}${rows.length > 0 ? `\n\n${table([head, ...rows])}` : ''}`
}

async function listAll(instance: Instance, path: string, { json }: OptionValues): Promise<string> {
  const { deletions } = (await instance.send('GET', path)) as { deletions: Record<string, unknown>[] }
  if (json) return JSON.stringify(deletions, null, 2)
  if (deletions.length === 0) return 'nothing was deleted by a filter'
  const rows = deletions.map(({ id, state, updated_at, from, to, hits, waiting, filter }) => [
    ...[id, state, updated_at, from, to, hits, waiting].map(String),
    JSON.stringify(filter),
  ])
  return table([['id', 'state', 'updated_at', 'from', 'to', 'hits', 'waiting', 'filter'], ...rows])
}
