import { FLAG, json, named, type Operations, objectOf, TEXT } from './operation.ts'

const HEALTH = named(
  'Health',
  objectOf({
    name: { type: 'string', description: 'The service' },
    status: { enum: ['ok', 'degraded'] },
    uptime_ms: { type: 'integer' },
    parts: {
      type: 'object',
      additionalProperties: objectOf({ ready: FLAG, problem: { type: ['string', 'null'] } }),
    },
    notices: {
      type: 'object',
      additionalProperties: TEXT,
      description: 'What the licences of data in use ask to be shown',
    },
  }),
)

/** What every service has. */
export const HEALTH_OPERATIONS: Operations = {
  'GET /livez': {
    tag: 'Operation',
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does', content: json(objectOf({ alive: { const: true } })) } },
  },
  'GET /readyz': {
    tag: 'Operation',
    summary: 'Whether it can serve',
    answers: { 200: { description: 'It can', content: json(objectOf({ ready: { const: true } })) } },
    errors: ['not_ready'],
  },
  'GET /health': {
    tag: 'Operation',
    summary: 'Every part with its state',
    answers: { 200: { description: 'Also while a part has a problem', content: json(HEALTH) } },
  },
  'GET /metrics': {
    tag: 'Operation',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'In its text format', content: { 'text/plain': { schema: TEXT } } } },
  },
}
