import { GOAL_OPTIONS, GOAL_OPTIONS_HELP, goalFromOptions } from '../admin/goal-options.ts'
import { type Instance, reachInstance } from '../admin/instance.ts'
import { table } from '../admin/table.ts'
import { ADMIN_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace goal add SITE ID [options]
       millrace goal list SITE [--json]
       millrace goal remove SITE ID

Adds, lists and removes the conversion goals of a site: page views of a path, events, page views that were seen so far, or
sessions that last so long. Reports count them, in hits that came before the goal was made, too.

${GOAL_OPTIONS_HELP}
  --url URL               the instance
  --json                  prints JSON

Goals are made where sites are: millrace site --help.

${settingsHelp(ADMIN_COMMAND)}`,
  options: { ...GOAL_OPTIONS, url: { type: 'string' }, json: { type: 'boolean' } },
  words: ['add | list | remove', 'SITE', 'ID'],

  async run(values, [action = '', site, id, ...more]) {
    if (!Object.hasOwn(ACTIONS, action)) throw new Error('say add, list or remove (millrace goal --help)')
    if (site === undefined) throw new Error(`say which site: millrace goal ${action} SITE`)
    if (more.length > 0 || (action === 'list') !== (id === undefined)) {
      throw new Error(action === 'list' ? 'list takes no goal' : `say which goal: millrace goal ${action} ${site} ID`)
    }
    const settings = settingsFrom(ADMIN_COMMAND, process.env)
    const instance = await reachInstance(settings, values.url as string | undefined)
    try {
      console.log(await ACTIONS[action]!(instance, { site, id: id ?? '' }, values))
    } finally {
      await instance.close()
    }
  },
}

interface Named {
  readonly site: string
  readonly id: string
}
type Action = (instance: Instance, named: Named, values: OptionValues) => Promise<string>

const pathOf = (site: string): string => `/v1/sites/${encodeURIComponent(site)}/goals`

const ACTIONS: Record<string, Action> = {
  async add(instance, { site, id }, values) {
    const goal = await instance.send('POST', pathOf(site), { id, ...goalFromOptions(values) })
    return values.json ? JSON.stringify(goal, null, 2) : `added goal ${id} to site ${site}`
  },
  async list(instance, { site }, { json }) {
    const { goals } = (await instance.send('GET', pathOf(site))) as { goals: Record<string, unknown>[] }
    return json ? JSON.stringify(goals, null, 2) : listGoals(site, goals)
  },
  async remove(instance, { site, id }) {
    await instance.send('DELETE', `${pathOf(site)}/${encodeURIComponent(id)}`)
    return `removed goal ${id} from site ${site}`
  },
}

function listGoals(site: string, goals: readonly Record<string, unknown>[]): string {
  if (goals.length === 0) return `site ${site} has no goals; millrace goal add ${site} ID makes one`
  const rows = goals.map(({ id, type, created_at, updated_at: _, ...own }) => {
    const said = Object.entries(own).map(([name, value]) => `${name}=${shown(value)}`)
    return [String(id), String(type), String(created_at), said.join(' ')]
  })
  return table([['id', 'type', 'created_at', 'settings'], ...rows])
}

const shown = (value: unknown): string => (typeof value === 'object' ? JSON.stringify(value) : String(value))
