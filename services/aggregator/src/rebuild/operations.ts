import {
  FLAG,
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
import { COMPLETE_UNTIL, FILTER } from '../query/operations.ts'

const DATE: Schema = { type: 'string', format: 'date' }
const COUNT: Schema = { type: 'integer' }
const counts = (...names: string[]) => Object.fromEntries(names.map((name) => [name, COUNT]))

const REBUILD = named(
  'Rebuild',
  objectOf(
    {
      ...{ id: TEXT, site: TEXT, timezone: TEXT, from: DATE, to: DATE },
      keep_from: { ...DATE, description: 'First day that retention keeps' },
      ...counts('hits_kept', 'hits_moved', 'hits_deleted', 'sessions_kept', 'sessions_moved', 'sessions_deleted'),
      state: { enum: ['running', 'interrupted', 'done', 'dry_run', 'nothing_to_do'] },
    },
    ['id', 'timezone', 'from', 'to', 'keep_from'],
  ),
)
const REBUILD_INPUT = named(
  'RebuildInput',
  objectOf({ from: { anyOf: [DATE, { type: 'null' }] }, to: { anyOf: [DATE, { type: 'null' }] }, dry_run: FLAG }, [
    'from',
    'to',
    'dry_run',
  ]),
)

const END: Schema = { type: ['string', 'number'] }
const DELETION_INPUT = named(
  'DeletionInput',
  objectOf(
    {
      filter: FILTER,
      from: { ...END, description: 'A day (included) or a time; ever since, if left out' },
      to: { ...END, description: 'A day (included) or a time; until now, if left out' },
      timezone: { type: 'string', description: "Of days, and of hours in the filter; the site's if left out" },
      preview: { ...FLAG, description: 'true: only says what would go' },
    },
    ['from', 'to', 'timezone', 'preview'],
  ),
)
const CHOSEN = { site: TEXT, from: TIME, to: TIME, timezone: TEXT, filter: FILTER }
const OF_DAY = counts('rows', 'page_views', 'events', 'visitors', 'sessions', 'sessions_deleted')
const DELETION_ANSWER = named(
  'DeletionAnswer',
  objectOf(
    {
      id: TEXT,
      ...CHOSEN,
      ...OF_DAY,
      days: listOf(
        objectOf({
          date: DATE,
          ...OF_DAY,
          closed: { ...FLAG, description: 'What is hidden of it can be deleted at once' },
        }),
      ),
      state: { enum: ['preview', 'nothing_to_do', 'hidden'] },
      complete_until: COMPLETE_UNTIL,
    },
    ['id'],
  ),
)
const DELETION = named(
  'Deletion',
  objectOf({
    id: TEXT,
    ...CHOSEN,
    ...counts('hits', 'visitors', 'sessions'),
    updated_at: TIME,
    waiting: { ...COUNT, description: 'Rows that wait for their days to be closed' },
    state: { enum: ['hidden', 'done', 'revoked'] },
  }),
)

const ERRORS: Operation['errors'] = [
  'json_invalid',
  'field_unknown',
  'field_invalid',
  'site_unknown',
  'rebuild_running',
  'store_unavailable',
]
const when = (description: string, schema: Schema) => ({ description, content: json(schema) })

/** What the routes of rebuilds and deletions do. */
export const REBUILD_OPERATIONS: Operations = {
  'POST /v1/sites/:id/rebuild': {
    tag: 'Rebuild and delete',
    summary: 'Gives stored hits the days that the settings of the site say now, and deletes what is past its retention',
    body: json(REBUILD_INPUT, { preview: { from: '2026-10-01', to: '2026-10-31', dry_run: true } }),
    answers: {
      200: when('`dry_run`, or there is nothing to do', REBUILD),
      202: when('It has begun, and is certain to come to its end', REBUILD),
    },
    errors: [...ERRORS!, 'timezone_unknown', 'query_invalid'],
  },
  'GET /v1/sites/:id/rebuild': {
    tag: 'Rebuild and delete',
    summary: 'How the last rebuild of the site stands',
    answers: { 200: when('The last one', REBUILD) },
    errors: ['not_found', 'store_unavailable'],
  },
  'POST /v1/sites/:id/deletions': {
    tag: 'Rebuild and delete',
    summary: 'Deletes the hits that a filter chooses, or says what would go',
    body: json(DELETION_INPUT, { preview: { filter: { dimension: 'path', is: ['/secret'] }, preview: true } }),
    answers: {
      200: when('`preview`, or there is nothing to do', DELETION_ANSWER),
      202: when('They are hidden from now on, and certain to be deleted', DELETION_ANSWER),
    },
    errors: [...ERRORS!, 'query_invalid', 'field_missing', 'timezone_unknown', 'period_invalid', 'query_too_large'],
  },
  'GET /v1/sites/:id/deletions': {
    tag: 'Rebuild and delete',
    summary: 'The deletions of the site, the latest first',
    answers: { 200: when('The deletions', objectOf({ deletions: listOf(DELETION) })) },
    errors: ['store_unavailable'],
  },
  'DELETE /v1/sites/:id/deletions/:deletion': {
    tag: 'Rebuild and delete',
    summary: 'Shows again what of it is still on disk',
    answers: { 204: { description: 'It is shown again' } },
    errors: ['not_found', 'rebuild_running', 'store_unavailable'],
  },
}
