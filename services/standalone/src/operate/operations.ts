import { FLAG, inQuery, json, listOf, named, type Operations, objectOf, type Schema, TEXT } from '@millrace/server'
import { TOPICS } from '@millrace/shared'

const COUNT: Schema = { type: 'integer' }
const WHOLE: Schema = { type: 'integer', minimum: 0 }
const lines = (line: Schema, description: string) => ({
  200: { description, content: { 'application/x-ndjson': { schema: line } } },
})
const ERROR = objectOf({ error: TEXT })

const VERIFIED = named('VerifyLine', {
  anyOf: [
    objectOf({ progress: TEXT }),
    objectOf({
      report: objectOf({
        ok: FLAG,
        facts: { type: 'object', additionalProperties: COUNT },
        checks: listOf(objectOf({ name: TEXT, compared: COUNT, wrong: COUNT, examples: listOf(TEXT) })),
        not_compared: listOf(TEXT),
      }),
    }),
    ERROR,
  ],
})
const TAILED = named('TailLine', {
  anyOf: [
    objectOf({
      record: {
        type: 'object',
        required: ['topic', 'partition', 'offset', 'timestamp'],
        properties: {
          topic: { enum: TOPICS.map(({ name }) => name) },
          partition: COUNT,
          offset: COUNT,
          timestamp: TEXT,
        },
      },
    }),
    ERROR,
  ],
})

/** What the operator's routes do. */
export const OPERATOR_OPERATIONS: Operations = {
  'POST /v1/verify': {
    tag: 'Operation',
    summary: 'Recounts the log, and compares with every table',
    description: 'As `millrace verify`. The key has to be for all sites.',
    body: json({ type: 'object' }, { all: {} }),
    answers: lines(VERIFIED, 'JSON lines; the last one has the report'),
    errors: ['operation_running'],
  },
  'GET /v1/topics/:topic': {
    tag: 'Operation',
    summary: 'Records of a topic of the log',
    description: 'As `millrace tail`. The key has to be for all sites.',
    parameters: [
      {
        name: 'topic',
        in: 'path',
        description: 'Name of the topic',
        schema: { enum: TOPICS.map(({ name }) => name) },
        example: 'hits.enriched',
      },
      inQuery('partition', 'Of one partition only', WHOLE),
      inQuery(
        'from',
        '`begin`, `end`, an offset, `-10` for the last ten of each partition (if left out), or a time',
        TEXT,
      ),
      inQuery('limit', 'Records at most', WHOLE, { example: 5 }),
      inQuery('follow', 'true: wait for more', { enum: ['true', 'false'] }),
      inQuery('personal', 'true: show addresses and user agents', { enum: ['true', 'false'] }),
    ],
    answers: lines(TAILED, 'JSON lines'),
    errors: ['not_found', 'field_unknown', 'field_invalid'],
  },
  'POST /v1/backup': {
    tag: 'Operation',
    summary: 'The data folder as an archive, while hits come in',
    description: 'As `millrace backup`. The key has to be for all sites.',
    body: json({ type: 'object' }, { all: {} }),
    answers: {
      200: {
        description: 'The archive; the header `x-backup-bytes` says about how large it will be',
        content: { 'application/x-tar': { schema: { type: 'string', contentMediaType: 'application/x-tar' } } },
      },
    },
    errors: ['operation_running', 'not_found', 'not_ready'],
  },
  'POST /v1/resume': {
    tag: 'Operation',
    summary: 'Goes on past a hole of the log',
    description: 'As `millrace resume`. The key has to be for all sites.',
    body: json(objectOf({ accept_gap: FLAG, partition: { type: ['integer', 'null'] } }, ['accept_gap', 'partition']), {
      show: {},
    }),
    answers: {
      200: {
        description: 'The holes',
        content: json(
          objectOf({ holes: listOf(objectOf({ partition: COUNT, from: COUNT, to: COUNT })), accepted: FLAG }),
        ),
      },
    },
    errors: ['field_invalid'],
  },
}
