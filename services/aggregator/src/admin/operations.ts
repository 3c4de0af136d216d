import { KEY_SCOPES } from '@millrace/config'
import {
  json,
  listOf,
  named,
  type Operation,
  type Operations,
  objectOf,
  type Schema,
  TEXT,
  TIME,
} from '@millrace/server'
import { GOAL_TYPES, SITE_PATTERN, SiteSettings } from '@millrace/shared'
import { Type } from '@sinclair/typebox'
import { FILTER } from '../query/operations.ts'

const ID: Schema = { type: 'string', pattern: SITE_PATTERN, description: 'Cannot be changed' }
const STAMPS = { created_at: TIME, updated_at: TIME }
const fieldsOf = (schema: unknown) => (schema as { properties: Readonly<Record<string, Schema>> }).properties

const SETTINGS = fieldsOf(SiteSettings)
const SITE_INPUT = named('SiteInput', { ...Type.Partial(SiteSettings), $id: 'SiteInput', additionalProperties: false })
const NEW_SITE = named('NewSite', objectOf({ id: ID, ...SETTINGS }, Object.keys(SETTINGS)))
const CHANGE = named('SiteChange', {
  ...objectOf(
    Object.fromEntries(
      Object.entries(SETTINGS).map(([name, one]) => [
        name,
        { anyOf: [one, { type: 'null' }], description: one.description },
      ]),
    ),
    Object.keys(SETTINGS),
  ),
  description: 'null = the default again',
})
const SITE = named(
  'Site',
  objectOf(
    {
      id: ID,
      ...SETTINGS,
      ...STAMPS,
      notes: { ...listOf(TEXT), description: 'What the change does not do by itself' },
    },
    ['notes'],
  ),
)

const goalForms = (more: Readonly<Record<string, Schema>>, optional: readonly string[]): Schema => ({
  anyOf: Object.values(GOAL_TYPES).map((form) => {
    const { filter, ...fields } = fieldsOf(form)
    const needed = (form as { required?: string[] }).required ?? []
    return objectOf({ ...more, ...fields, ...(filter && { filter: FILTER }) }, [
      ...Object.keys(fieldsOf(form)).filter((name) => !needed.includes(name)),
      ...optional,
    ])
  }),
})
const GOAL_INPUT = named('GoalInput', goalForms({ id: ID }, ['id']))
const GOAL = named('Goal', goalForms({ id: ID, ...STAMPS }, []))

const SCOPES: Schema = { type: 'array', items: { enum: KEY_SCOPES }, minItems: 1, uniqueItems: true }
const SITES: Schema = {
  type: 'array',
  items: TEXT,
  maxItems: 1_000,
  uniqueItems: true,
  description: 'Sites that it is for; none = all',
}
const KEY_NAME: Schema = { type: 'string', maxLength: 128, description: 'Name for people' }
const KEY_FIELDS = { id: TEXT, name: KEY_NAME, scopes: SCOPES, sites: SITES, created_at: TIME }
const KEY = named('Key', objectOf(KEY_FIELDS))
const NEW_KEY = named(
  'NewKey',
  objectOf({ ...KEY_FIELDS, key: { type: 'string', description: 'The text to send, shown this once' } }),
)
const KEY_INPUT = named('KeyInput', objectOf({ name: KEY_NAME, scopes: SCOPES, sites: SITES }, ['name', 'sites']))

const ok = (schema: Schema, description: string) => ({ 200: { description, content: json(schema) } })
const made = (schema: Schema) => ({ 201: { description: 'It was made', content: json(schema) } })
const GONE = { 204: { description: 'It is gone' } }
const OF_FORM: Operation['errors'] = [
  'json_invalid',
  'config_invalid',
  'field_unknown',
  'field_missing',
  'field_invalid',
]
const OF_SITE: Operation['errors'] = [...OF_FORM, 'site_invalid', 'timezone_unknown', 'log_unavailable']

/** What the routes of sites, goals and keys do. */
export const ADMIN_OPERATIONS: Operations = {
  'GET /v1/sites': {
    tag: 'Sites and keys',
    summary: 'The sites, by id',
    answers: ok(objectOf({ sites: listOf(SITE) }), 'Those that the key is for'),
  },
  'POST /v1/sites': {
    tag: 'Sites and keys',
    summary: 'Makes a site',
    body: json(NEW_SITE, { blog: { id: 'blog', name: 'Blog', timezone: 'Europe/Vienna' } }),
    answers: made(SITE),
    errors: [...OF_SITE!, 'site_exists'],
  },
  'GET /v1/sites/:id': {
    tag: 'Sites and keys',
    summary: 'A site with all its settings',
    answers: ok(SITE, 'The site'),
    errors: ['site_unknown'],
  },
  'PUT /v1/sites/:id': {
    tag: 'Sites and keys',
    summary: 'The site is told exactly this',
    description: 'What is left out is the default. Makes the site if need be.',
    body: json(SITE_INPUT, {
      blog: { name: 'Blog', timezone: 'Europe/Vienna', hostnames: ['example.com', '*.example.com'] },
    }),
    answers: { ...ok(SITE, 'It was changed'), ...made(SITE) },
    errors: OF_SITE!,
  },
  'PATCH /v1/sites/:id': {
    tag: 'Sites and keys',
    summary: 'The site is told this too',
    body: json(CHANGE, { timeout: { session_timeout_minutes: 45, hostnames: null } }),
    answers: ok(SITE, 'It was changed'),
    errors: [...OF_SITE!, 'site_unknown'],
  },
  'DELETE /v1/sites/:id': {
    tag: 'Sites and keys',
    summary: 'The site takes no more hits; its goals go with it',
    answers: GONE,
    errors: ['site_unknown', 'log_unavailable'],
  },
  'GET /v1/sites/:id/goals': {
    tag: 'Sites and keys',
    summary: 'The conversion goals of a site, by id',
    answers: ok(objectOf({ goals: listOf(GOAL) }), 'The goals'),
    errors: ['site_unknown'],
  },
  'POST /v1/sites/:id/goals': {
    tag: 'Sites and keys',
    summary: 'Makes a goal',
    body: json(GOAL_INPUT, { signup: { id: 'signup', type: 'page', path: '/thanks/**', value: 2.5, currency: 'EUR' } }),
    answers: made(GOAL),
    errors: [...OF_FORM!, 'site_unknown', 'goal_exists', 'log_unavailable'],
  },
  'GET /v1/sites/:id/goals/:goal': {
    tag: 'Sites and keys',
    summary: 'A goal',
    answers: ok(GOAL, 'The goal'),
    errors: ['site_unknown', 'goal_unknown'],
  },
  'PUT /v1/sites/:id/goals/:goal': {
    tag: 'Sites and keys',
    summary: 'The goal is exactly this; makes it if need be',
    body: json(GOAL_INPUT, {
      buy: { type: 'event', event_name: 'buy', filter: { dimension: 'props.plan', is: ['pro'] } },
    }),
    answers: { ...ok(GOAL, 'It was changed'), ...made(GOAL) },
    errors: [...OF_FORM!, 'site_unknown', 'log_unavailable'],
  },
  'DELETE /v1/sites/:id/goals/:goal': {
    tag: 'Sites and keys',
    summary: 'Reports count the goal no more',
    answers: GONE,
    errors: ['site_unknown', 'goal_unknown', 'log_unavailable'],
  },
  'GET /v1/keys': {
    tag: 'Sites and keys',
    summary: 'The keys, without their texts',
    description: 'The key has to be for all sites.',
    answers: ok(objectOf({ keys: listOf(KEY) }), 'The keys'),
  },
  'POST /v1/keys': {
    tag: 'Sites and keys',
    summary: 'Makes a key',
    description: 'The key has to be for all sites.',
    body: json(KEY_INPUT, { server: { name: 'shop server', scopes: ['ingest'], sites: ['default'] } }),
    answers: made(NEW_KEY),
    errors: [...OF_FORM!, 'log_unavailable'],
  },
  'DELETE /v1/keys/:id': {
    tag: 'Sites and keys',
    summary: "The key is nobody's from now on",
    parameters: [{ name: 'id', in: 'path', description: 'Id of the key', schema: TEXT }],
    answers: GONE,
    errors: ['key_unknown', 'log_unavailable'],
  },
}
