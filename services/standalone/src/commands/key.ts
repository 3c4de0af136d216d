import { KEY_SCOPES } from '@millrace/config'
import { type Instance, reachInstance } from '../admin/instance.ts'
import { table } from '../admin/table.ts'
import { ADMIN_COMMAND, settingsFrom } from '../settings.ts'
import { type Command, type OptionValues, settingsHelp } from './command.ts'

export const command: Command = {
  help: `Usage: millrace key add --scope SCOPE [--site ID] [--name TEXT] [--json]
       millrace key list [--json]
       millrace key revoke ID

Makes, lists and revokes keys. A key is printed once, when it is made: only its hash is kept. Senders and readers give it
as Authorization: Bearer KEY.

  --scope SCOPE    ${KEY_SCOPES.join(', ')}; may be given more than once
                   ingest: hits, with the fields of a server   read: reports   sql: queries in SQL   admin: everything
  --site ID        only for this site; may be given more than once; none = for all
  --name TEXT      for people
  --url URL        the instance
  --json           prints JSON

Keys are made where sites are: millrace site --help.

${settingsHelp(ADMIN_COMMAND)}`,
  options: {
    scope: { type: 'string', multiple: true },
    site: { type: 'string', multiple: true },
    name: { type: 'string' },
    url: { type: 'string' },
    json: { type: 'boolean' },
  },
  words: ['add | list | revoke', 'ID'],

  async run(values, [action = '', id, ...more]) {
    if (!Object.hasOwn(ACTIONS, action)) throw new Error('say add, list or revoke (millrace key --help)')
    if (more.length > 0 || (action === 'revoke') !== (id !== undefined)) {
      throw new Error(action === 'revoke' ? 'say which key: millrace key revoke ID' : `${action} takes no id`)
    }
    if (action === 'add' && !values.scope)
      throw new Error(`say what for: --scope ${KEY_SCOPES.join(' | ')} (millrace key --help)`)
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

const ACTIONS: Record<string, Action> = {
  async add(instance, _, { scope = [], site = [], name = '', json }) {
    const made = await instance.send('POST', '/v1/keys', { name, scopes: scope, sites: site })
    if (json) return JSON.stringify(made, null, 2)
    console.error(`key ${made.id} was made; it is shown this once:`)
    return String(made.key)
  },
  async list(instance, _, { json }) {
    const { keys } = (await instance.send('GET', '/v1/keys')) as { keys: Record<string, unknown>[] }
    if (json) return JSON.stringify(keys, null, 2)
    if (keys.length === 0) return 'there are no keys; millrace key add makes one'
    const rows = keys.map(({ id, created_at, scopes, sites, name }) =>
      [id, created_at, [scopes].flat().join(','), [sites].flat().join(',') || 'all', name].map(String),
    )
    return table([['id', 'created_at', 'scopes', 'sites', 'name'], ...rows])
  },
  async revoke(instance, id) {
    await instance.send('DELETE', `/v1/keys/${encodeURIComponent(id)}`)
    return `revoked key ${id}`
  },
}
