import { type ConfigBook, type ConfigWriter, openConfigBook, openConfigWriter } from '@millrace/config'
import type { EventLog } from '@millrace/log'
import { createLogger, createServer, type Logger, requireKey, type Server } from '@millrace/server'
import { CONFIG, DEFAULT_SITE_SETTINGS, TOPICS } from '@millrace/shared'
import { waitUntil } from '@millrace/testing'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { GUARDED_ROUTES, registerAdminApi } from './register.ts'

/** A log of its own, and how it is opened a second time as another service does. */
export interface AdminLab {
  readonly log: EventLog
  close(): Promise<void>
}

const ADMIN_KEY = 'the-operator'

/** What the answers have, one or the other. */
interface Body {
  readonly id: string
  readonly key: string
  readonly code: string
  readonly name: string
  readonly timezone: string
  readonly hostnames: readonly string[]
  readonly session_timeout_minutes: number
  readonly created_at: string
  readonly notes: readonly string[]
  readonly sites: readonly { readonly id: string }[]
  readonly keys: readonly object[]
  readonly goals: readonly { readonly id: string }[]
  readonly updated_at: string
  readonly errors: readonly { readonly code: string; readonly pointer: string }[]
}

/** What the admin API does, whatever the log. */
export function adminApiContract(name: string, open: () => Promise<AdminLab>): void {
  describe(`the admin API on ${name}`, () => {
    let lab: AdminLab
    let config: ConfigBook
    /** Of another service. */
    let follower: ConfigBook
    let writer: ConfigWriter
    let server: Server
    let given: string | null
    /** What was written for the operator's audit: `goal added blog/signup`. */
    const audit: string[] = []

    beforeAll(async () => {
      lab = await open()
      const admin = lab.log.admin()
      await admin.ensureTopics(TOPICS, 1)
      await admin.close()
      config = await openConfigBook(lab.log)
      follower = await openConfigBook(lab.log)
      writer = openConfigWriter(lab.log, config)
      server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
      requireKey(server.app, { adminKey: ADMIN_KEY, keyOf: (text) => config.keyOf(text), needs: GUARDED_ROUTES })
      const info = (fields: Record<string, unknown>, what: string) =>
        audit.push(`${what} ${fields.site}/${fields.goal}`)
      const logger = { info } as unknown as Logger
      registerAdminApi({ server: { app: server.app, logger }, config, writer })
      await server.app.ready()
    })
    beforeEach(() => {
      given = ADMIN_KEY
    })
    afterAll(async () => {
      await server?.close()
      await writer?.close()
      await config?.close()
      await follower?.close()
      await lab?.close()
    })

    type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
    async function ask(method: Method, url: string, body?: unknown, headers: Record<string, string> = {}) {
      const answer = await server.app.inject({
        method,
        url,
        headers: {
          ...(given !== null && { authorization: `Bearer ${given}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { payload: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      return {
        status: answer.statusCode,
        type: String(answer.headers['content-type'] ?? ''),
        body: (answer.payload === '' ? null : answer.json()) as Body,
      }
    }
    const pointers = (body: Body): string[] => body.errors.map(({ code, pointer }) => `${code} ${pointer}`).sort()
    const seenByOthers = (what: string, test: () => boolean) => waitUntil(what, async () => test() || null)

    it('adds a site that is in force here at once, and everywhere in a moment', async () => {
      const made = await ask('POST', '/v1/sites', { id: 'blog', timezone: 'Europe/Vienna', hostnames: ['Example.com'] })
      expect([made.status, made.body.id, made.body.hostnames]).toEqual([201, 'blog', ['example.com']])
      expect(config.settingsOf('blog')).toEqual({
        ...DEFAULT_SITE_SETTINGS,
        timezone: 'Europe/Vienna',
        hostnames: ['example.com'],
      })
      await seenByOthers('another service knows the site', () => follower.settingsOf('blog') !== null)
      expect(follower.settingsOf('blog')).toEqual(config.settingsOf('blog'))
      expect((await ask('GET', '/v1/sites/blog')).body).toEqual(made.body)
    })

    it('answers 409 to a site that is there already', async () => {
      const again = await ask('POST', '/v1/sites', { id: 'blog' })
      expect([again.status, again.body.code]).toEqual([409, 'site_exists'])
    })

    it('changes what it is told, and says what the change does not do', async () => {
      const changed = await ask('PATCH', '/v1/sites/blog', { timezone: 'Asia/Tokyo', session_timeout_minutes: 45 })
      expect([changed.status, changed.body.timezone, changed.body.hostnames]).toEqual([
        200,
        'Asia/Tokyo',
        ['example.com'],
      ])
      expect(changed.body.notes.join('\n')).toContain('millrace rebuild --site blog')
      const before = config.settingsOf('blog')
      const reset = await ask('PATCH', '/v1/sites/blog', { hostnames: null, session_timeout_minutes: null })
      expect([reset.body.hostnames, reset.body.session_timeout_minutes]).toEqual([[], 0])
      expect(reset.body.timezone).toBe('Asia/Tokyo')
      expect(config.settingsOf('blog')).not.toBe(before)
    })

    it('keeps the object of a site that did not change', async () => {
      const before = config.settingsOf('blog')
      await ask('PUT', '/v1/sites/other', {})
      expect(config.settingsOf('blog')).toBe(before)
    })

    it('replaces a site as a whole, and takes back what it has answered', async () => {
      const { body } = await ask('GET', '/v1/sites/blog')
      const put = await ask('PUT', '/v1/sites/blog', { ...body, name: 'Blog' })
      expect([put.status, put.body.name, put.body.timezone, put.body.created_at]).toEqual([
        200,
        'Blog',
        'Asia/Tokyo',
        body.created_at,
      ])
      expect((await ask('PUT', '/v1/sites/blog', {})).body.timezone).toBe('')
    })

    it('lists sites in order', async () => {
      const { sites } = (await ask('GET', '/v1/sites')).body
      expect(sites.map(({ id }) => id)).toEqual(['blog', 'other'])
    })

    it('removes a site', async () => {
      await seenByOthers('another service knows the site', () => follower.settingsOf('other') !== null)
      expect((await ask('DELETE', '/v1/sites/other')).status).toBe(204)
      expect(config.settingsOf('other')).toBeNull()
      await seenByOthers('another service has forgotten the site', () => follower.settingsOf('other') === null)
      expect((await ask('DELETE', '/v1/sites/other')).body.code).toBe('site_unknown')
      expect((await ask('GET', '/v1/sites/other')).status).toBe(404)
    })

    it.each([
      ['an id that is none', 'POST', '/v1/sites', { id: '../etc' }, 'site_invalid', ['site_invalid /id']],
      ['no id', 'POST', '/v1/sites', {}, 'site_invalid', ['site_invalid /id']],
      ['an unknown field', 'PUT', '/v1/sites/blog', { colour: 'red' }, 'field_unknown', ['field_unknown /colour']],
      [
        'an unknown zone',
        'PUT',
        '/v1/sites/blog',
        { timezone: 'Mars/Base' },
        'timezone_unknown',
        ['timezone_unknown /timezone'],
      ],
      [
        'an offset for a zone',
        'PUT',
        '/v1/sites/blog',
        { timezone: '+02:00' },
        'timezone_unknown',
        ['timezone_unknown /timezone'],
      ],
      [
        'every mistake at once',
        'PATCH',
        '/v1/sites/blog',
        {
          timezone: 'Mars/Base',
          session_timeout_minutes: 721,
          respect_dnt: 'yes',
          hostnames: ['example.com', 'https://example.com/', 7],
          colour: 1,
        },
        'config_invalid',
        [
          'field_invalid /hostnames/1',
          'field_invalid /hostnames/2',
          'field_invalid /respect_dnt',
          'field_invalid /session_timeout_minutes',
          'field_unknown /colour',
          'timezone_unknown /timezone',
        ],
      ],
      ['null in a whole', 'PUT', '/v1/sites/blog', { timezone: null }, 'field_invalid', ['field_invalid /timezone']],
      ['another id', 'PATCH', '/v1/sites/blog', { id: 'shop' }, 'field_invalid', ['field_invalid /id']],
      ['a key without scopes', 'POST', '/v1/keys', {}, 'field_missing', ['field_missing /scopes']],
      ['a scope that is none', 'POST', '/v1/keys', { scopes: ['root'] }, 'field_invalid', ['field_invalid /scopes/0']],
      [
        'a site that is none',
        'POST',
        '/v1/keys',
        { scopes: ['read'], sites: ['blog', 'nobody'] },
        'config_invalid',
        ['site_unknown /sites/1'],
      ],
    ] as const)('refuses %s', async (_, method, url, body, code, expected) => {
      const before = config.at()
      const answer = await ask(method, url, body)
      expect([answer.status, answer.body.code, answer.type]).toEqual([
        400,
        code,
        'application/problem+json; charset=utf-8',
      ])
      expect(pointers(answer.body)).toEqual(expected)
      expect(config.at()).toBe(before)
    })

    it.each([
      ['half a document', '{"id":', {}, 400, 'json_invalid'],
      ['a list', '[]', {}, 400, 'field_invalid'],
      ['a form of another page', 'id=evil', { 'content-type': 'text/plain' }, 415, 'media_type_unsupported'],
    ] as const)('refuses %s', async (_, body, headers, status, code) => {
      const answer = await ask('POST', '/v1/sites', body, headers)
      expect([answer.status, answer.body.code]).toEqual([status, code])
    })

    it('makes a key, shows it once, and knows it again by its hash', async () => {
      const made = await ask('POST', '/v1/keys', { name: 'Server', scopes: ['ingest'], sites: ['blog'] })
      expect(made.status).toBe(201)
      expect(made.body.key).toMatch(new RegExp(`^mr_${made.body.id}_[A-Za-z0-9_-]{43}$`))
      expect(config.keyOf(made.body.key)).toMatchObject({ id: made.body.id, scopes: ['ingest'], sites: ['blog'] })
      expect(config.keyOf(`${made.body.key}x`)).toBeNull()
      const { keys } = (await ask('GET', '/v1/keys')).body
      expect(keys).toEqual([
        { id: made.body.id, name: 'Server', scopes: ['ingest'], sites: ['blog'], created_at: made.body.created_at },
      ])

      const secret = made.body.key.slice(`mr_${made.body.id}_`.length)
      const reader = lab.log.reader()
      let bytes = ''
      for await (const batch of reader.read(CONFIG.name, 0, 0, config.at() + 1)) {
        for (const { key, value } of batch) bytes += `${key}${value}`
      }
      await reader.close()
      expect(bytes).toContain(made.body.id)
      expect(bytes).not.toContain(secret)

      await seenByOthers('another service knows the key', () => follower.keyOf(made.body.key) !== null)
      expect((await ask('DELETE', `/v1/keys/${made.body.id}`)).status).toBe(204)
      expect(config.keyOf(made.body.key)).toBeNull()
      await seenByOthers('another service has forgotten the key', () => follower.keyOf(made.body.key) === null)
      expect((await ask('DELETE', `/v1/keys/${made.body.id}`)).body.code).toBe('key_unknown')
    })

    it('serves nobody without the scope, and a key of one site only that site', async () => {
      const make = async (scopes: string[], sites: string[]): Promise<string> =>
        (await ask('POST', '/v1/keys', { scopes, sites })).body.key
      const reader = await make(['read', 'sql', 'ingest'], [])
      const local = await make(['admin'], ['blog'])
      const boss = await make(['admin'], [])
      const statuses = async (key: string | null) => {
        given = key
        return [
          (await ask('GET', '/v1/sites/blog')).status,
          (await ask('PATCH', '/v1/sites/blog', { name: 'B' })).status,
          (await ask('PUT', '/v1/sites/more', {})).status,
          (await ask('DELETE', '/v1/sites/more')).status,
          (await ask('GET', '/v1/keys')).status,
        ]
      }
      expect(await statuses(null)).toEqual([401, 401, 401, 401, 401])
      expect(await statuses(reader)).toEqual([403, 403, 403, 403, 403])
      expect(await statuses(local)).toEqual([200, 200, 403, 403, 403])
      expect(await statuses(boss)).toEqual([200, 200, 201, 204, 200])
    })

    describe('goals of a site', () => {
      const goals = '/v1/sites/blog/goals'
      const buy = {
        type: 'event',
        event_name: 'buy',
        filter: { dimension: 'props.plan', is: ['pro'] },
        name: 'Bought',
        currency: 'EUR',
      }

      it('are added, in force here at once and everywhere in a moment', async () => {
        const made = await ask('POST', goals, { id: 'signup', type: 'page', path: '/thanks/**', value: 2.5 })
        expect(made).toMatchObject({
          status: 201,
          body: { id: 'signup', type: 'page', path: '/thanks/**', value: 2.5 },
        })
        expect(Date.parse(made.body.created_at)).toBeLessThanOrEqual(Date.now())
        expect(config.goalsOf('blog')).toMatchObject([{ id: 'signup', settings: { type: 'page', path: '/thanks/**' } }])
        await seenByOthers('another service knows the goal', () => follower.goalsOf('blog').length === 1)
        expect(follower.goalsOf('blog')).toEqual(config.goalsOf('blog'))
        expect((await ask('GET', `${goals}/signup`)).body).toEqual(made.body)
        const again = await ask('POST', goals, { id: 'signup', type: 'duration', duration_ms: 1 })
        expect([again.status, again.body.code]).toEqual([409, 'goal_exists'])
      })

      it('are replaced as a whole, take back what was answered, and are listed in order', async () => {
        expect((await ask('PUT', `${goals}/buy`, buy)).status).toBe(201)
        const { body } = await ask('GET', `${goals}/signup`)
        const put = await ask('PUT', `${goals}/signup`, { ...body, name: 'Signed up' })
        expect([put.status, put.body.name, put.body.created_at]).toEqual([200, 'Signed up', body.created_at])
        expect((await ask('PUT', `${goals}/buy`, buy)).status).toBe(200)
        const listed = (await ask('GET', goals)).body.goals
        expect(listed).toMatchObject([
          { id: 'buy', ...buy },
          { id: 'signup', name: 'Signed up', path: '/thanks/**' },
        ])
        const bare = await ask('PUT', `${goals}/signup`, { type: 'scroll', path: '/', scroll_percent: 80 })
        const { created_at, updated_at } = bare.body
        expect(bare.body).toEqual({
          ...{ id: 'signup', type: 'scroll', path: '/', scroll_percent: 80 },
          ...{ created_at, updated_at },
        })
      })

      it('are the same list until one of them changes', async () => {
        const before = config.goalsOf('blog')
        await ask('PATCH', '/v1/sites/blog', { name: 'Blog' })
        await ask('PUT', '/v1/sites/elsewhere', {})
        await ask('PUT', '/v1/sites/elsewhere/goals/long', { type: 'duration', duration_ms: 60_000 })
        expect(config.goalsOf('blog')).toBe(before)
        await ask('PUT', `${goals}/more`, { type: 'page', path: '/' })
        expect(config.goalsOf('blog')).not.toBe(before)
        expect((await ask('DELETE', `${goals}/more`)).status).toBe(204)
        expect(config.goalsOf('blog')).toEqual(before)
        expect((await ask('DELETE', `${goals}/more`)).body.code).toBe('goal_unknown')
        expect((await ask('GET', `${goals}/more`)).status).toBe(404)
      })

      it('go with their site, and a new one of that name begins without', async () => {
        expect(config.goalsOf('elsewhere')).toHaveLength(1)
        expect((await ask('DELETE', '/v1/sites/elsewhere')).status).toBe(204)
        await writer.putSite('elsewhere', {})
        expect((await ask('GET', '/v1/sites/elsewhere/goals')).body.goals).toEqual([])
        expect((await ask('DELETE', '/v1/sites/elsewhere')).status).toBe(204)
        for (const method of ['GET', 'POST'] as const) {
          const nowhere = await ask(method, '/v1/sites/elsewhere/goals', method === 'POST' ? buy : undefined)
          expect([nowhere.status, nowhere.body.code]).toEqual([404, 'site_unknown'])
        }
      })

      it('that another service added while the site went are not of the next site of that name', async () => {
        await ask('PUT', '/v1/sites/brief', {})
        const producer = lab.log.producer()
        const settings = { type: 'duration', duration_ms: 1 }
        const late = (key: string, value: unknown) => ({
          key: Buffer.from(key),
          value: value === null ? null : Buffer.from(JSON.stringify(value)),
        })
        const records = [late('site/brief', null), late('goal/brief/late', { v: 1, settings })]
        const bases = await producer.append(CONFIG.name, new Map([[0, records]]))
        await producer.close()
        await config.waitFor(bases.get(0)! + 1)
        await ask('POST', '/v1/sites', { id: 'brief' })
        expect((await ask('GET', '/v1/sites/brief/goals')).body.goals).toEqual([])
        expect((await ask('DELETE', '/v1/sites/brief')).status).toBe(204)
      })

      it.each([
        ['no id', { type: 'page', path: '/' }, 'field_missing', ['field_missing /id']],
        ['an id that is none', { id: 'a/b', type: 'page', path: '/' }, 'field_invalid', ['field_invalid /id']],
        ['no type', { id: 'x', path: '/' }, 'field_missing', ['field_missing /type']],
        ['a type that is none', { id: 'x', type: 'luck' }, 'field_invalid', ['field_invalid /type']],
        ['a page without path', { id: 'x', type: 'page' }, 'field_missing', ['field_missing /path']],
        [
          'a field of another type',
          { id: 'x', type: 'duration', duration_ms: 5, path: '/' },
          'field_unknown',
          ['field_unknown /path'],
        ],
        [
          'every mistake at once, those of its filter too',
          {
            ...{ id: 'X', type: 'event', event_name: '', value: -1, currency: 'euro', colour: 1 },
            filter: {
              and: [
                { dimension: 'colour', is: 'red' },
                { dimension: 'path', equals: '/' },
              ],
            },
          },
          'config_invalid',
          [
            'field_invalid /currency',
            'field_invalid /event_name',
            'field_invalid /filter/and/0/dimension',
            'field_invalid /id',
            'field_invalid /value',
            'field_unknown /colour',
            'field_unknown /filter/and/1/equals',
          ],
        ],
      ] as const)('are refused with %s', async (_, body, code, expected) => {
        const before = config.at()
        const answer = await ask('POST', goals, body)
        expect([answer.status, answer.body.code]).toEqual([400, code])
        expect(pointers(answer.body)).toEqual(expected)
        expect(config.at()).toBe(before)
      })

      it('keep their id, and are at most 100', async () => {
        const renamed = await ask('PUT', `${goals}/signup`, { id: 'other', type: 'page', path: '/' })
        expect(pointers(renamed.body)).toEqual(['field_invalid /id'])
        await ask('PUT', '/v1/sites/full', {})
        const add = (id: string) => writer.addGoal('full', id, { type: 'page', path: '/' }, () => {})
        await Promise.all(Array.from({ length: 100 }, (_, i) => add(`g${i}`)))
        const full = '/v1/sites/full/goals'
        expect((await ask('POST', full, { id: 'more', type: 'page', path: '/' })).body.code).toBe('config_invalid')
        expect((await ask('PUT', `${full}/g7`, { type: 'page', path: '/7' })).status).toBe(200)
        expect((await ask('DELETE', '/v1/sites/full')).status).toBe(204)
      })

      it('are changed with a key of the site, with no key of another scope or site, and for the record', async () => {
        const make = async (scopes: string[], sites: string[]): Promise<string> =>
          (await ask('POST', '/v1/keys', { scopes, sites })).body.key
        await ask('PUT', '/v1/sites/next', {})
        const keys = [await make(['read', 'sql', 'ingest'], []), await make(['admin'], ['next'])]
        const local = await make(['admin'], ['blog'])
        const tries = async (key: string | null) => {
          given = key
          return [
            (await ask('GET', goals)).status,
            (await ask('GET', `${goals}/signup`)).status,
            (await ask('POST', goals, { id: 'mine', type: 'page', path: '/' })).status,
            (await ask('PUT', `${goals}/mine`, { type: 'page', path: '/m' })).status,
            (await ask('DELETE', `${goals}/mine`)).status,
          ]
        }
        audit.length = 0
        expect(await tries(null)).toEqual([401, 401, 401, 401, 401])
        for (const key of keys) expect(await tries(key)).toEqual([403, 403, 403, 403, 403])
        expect(audit).toEqual([])
        expect(await tries(local)).toEqual([200, 200, 201, 200, 204])
        expect(audit).toEqual(['goal added blog/mine', 'goal changed blog/mine', 'goal removed blog/mine'])
        given = ADMIN_KEY
        await ask('DELETE', '/v1/sites/next')
      })
    })

    it('makes one secret for the installation, whoever comes first', async () => {
      const late = openConfigWriter(lab.log, follower)
      await Promise.all([writer.ensureInstallation(['first']), late.ensureInstallation(['second'])])
      await late.close()
      await follower.waitFor(config.at())
      await config.waitFor(follower.at())
      expect(config.installationSecret()).toHaveLength(32)
      expect(follower.installationSecret()).toEqual(config.installationSecret())
      const fresh = await openConfigBook(lab.log)
      expect(fresh.installationSecret()).toEqual(config.installationSecret())
      expect(new Map(fresh.sites())).toEqual(new Map(config.sites()))
      expect(new Map(fresh.keys())).toEqual(new Map(config.keys()))
      expect(fresh.goalsOf('blog')).toEqual(config.goalsOf('blog'))
      expect(fresh.goalsOf('blog').map(({ id }) => id)).toEqual(['buy', 'signup'])
      const at = fresh.at()
      const again = openConfigWriter(lab.log, fresh)
      await again.ensureInstallation(['third'])
      await again.close()
      expect([fresh.at(), fresh.settingsOf('third')]).toEqual([at, null])
      await fresh.close()
    })
  })
}
