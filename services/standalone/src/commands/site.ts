import { DEFAULT_SITE_SETTINGS } from '@millrace/shared'
import { type Instance, reachInstance } from '../admin/instance.ts'
import { SITE_OPTIONS, SITE_OPTIONS_HELP, settingsFromOptions } from '../admin/site-options.ts'
import { table } from '../admin/table.ts'
import { ADMIN_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace site add ID [options]
       millrace site set ID [options]
       millrace site list [--json]
       millrace site remove ID

Adds, changes, lists and removes sites. Hits of a site that does not exist are refused. A change is in force in a moment,
everywhere. Removing a site refuses its hits from then on; what is stored stays.

Changes are made by the instance at MILLRACE_URL (in a cluster an aggregator), or, when none is named and none runs at
the default address, in the folder MILLRACE_DATA_DIR of this machine.

  --url URL                           the instance
  --json                              prints the site, or all, as JSON
  --reset NAME                        back to the default; may be given more than once

${SITE_OPTIONS_HELP}

${settingsHelp(ADMIN_COMMAND)}`,
  options: { ...SITE_OPTIONS, url: { type: 'string' }, json: { type: 'boolean' } },
  words: ['add | set | list | remove', 'ID'],

  async run(values, [action = '', id, ...more]) {
    if (!Object.hasOwn(ACTIONS, action)) throw new Error('say add, set, list or remove (millrace site --help)')
    if (more.length > 0 || (action === 'list') !== (id === undefined)) {
      throw new Error(action === 'list' ? 'list takes no site' : `say which site: millrace site ${action} ID`)
    }
    const settings = settingsFrom(ADMIN_COMMAND, process.env)
    const instance = await reachInstance(settings, values.url as string | undefined)
    try {
      console.log(await ACTIONS[action]!(instance, id ?? '', values))
    } finally {
      await instance.close()
    }
  },
}

type Action = (instance: Instance, id: string, values: OptionValues) => Promise<string>

const pathOf = (id: string): string => `/v1/sites/${encodeURIComponent(id)}`

const ACTIONS: Record<string, Action> = {
  async add(instance, id, values) {
    const site = await instance.send('POST', '/v1/sites', { id, ...settingsFromOptions(values) })
    return show(site, `added site ${id}`, values)
  },
  async set(instance, id, values) {
    const settings = settingsFromOptions(values)
    if (Object.keys(settings).length === 0) throw new Error('say what to set (millrace site --help)')
    const site = await instance.send('PATCH', pathOf(id), settings)
    return show(site, `changed site ${id}`, values)
  },
  async list(instance, _, { json }) {
    const { sites } = (await instance.send('GET', '/v1/sites')) as { sites: Record<string, unknown>[] }
    return json ? JSON.stringify(sites, null, 2) : listSites(sites)
  },
  async remove(instance, id) {
    await instance.send('DELETE', pathOf(id))
    return `removed site ${id}; its stored hits stay`
  },
}

function show({ notes = [], ...site }: Record<string, unknown>, done: string, { json }: OptionValues): string {
  if (json) return JSON.stringify({ ...site, ...((notes as string[]).length > 0 && { notes }) }, null, 2)
  return [done, ...(notes as string[])].join('\n')
}

/** What each site says that is not the default. */
function listSites(sites: readonly Record<string, unknown>[]): string {
  if (sites.length === 0) return 'there are no sites; millrace site add ID makes one'
  const rows = sites.map((site) => {
    const said = Object.entries(DEFAULT_SITE_SETTINGS)
      .filter(([name, value]) => JSON.stringify(site[name]) !== JSON.stringify(value))
      .map(([name]) => `${name}=${[site[name]].flat().join(',')}`)
    return [String(site.id), String(site.created_at), said.join(' ')]
  })
  return table([['id', 'created_at', 'settings'], ...rows])
}
