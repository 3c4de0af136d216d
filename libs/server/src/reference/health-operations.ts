import type { Operations } from './operation.ts'

const flag = (name: string) => ({
  type: 'object',
  required: [name],
  additionalProperties: false,
  properties: { [name]: { const: true } },
})
const HEALTH = {
  $id: 'Health',
  type: 'object',
  required: ['name', 'status', 'uptime_ms', 'parts', 'notices'],
  additionalProperties: false,
  properties: {
    name: { type: 'string', description: 'The service' },
    status: { enum: ['ok', 'degraded'] },
    uptime_ms: { type: 'integer' },
    parts: {
      type: 'object',
      additionalProperties: {
        type: 'object',
        required: ['ready', 'problem'],
        additionalProperties: false,
        properties: { ready: { type: 'boolean' }, problem: { type: ['string', 'null'] } },
      },
    },
    notices: {
      type: 'object',
      additionalProperties: { type: 'string' },
      description: 'What the licences of data in use ask to be shown',
    },
  },
}

/** What every service has. */
export const HEALTH_OPERATIONS: Operations = {
  'GET /livez': {
    tag: 'Operation',
    summary: 'Whether the process lives',
    answers: { 200: { description: 'It does', content: { 'application/json': { schema: flag('alive') } } } },
  },
  'GET /readyz': {
    tag: 'Operation',
    summary: 'Whether it can serve',
    answers: { 200: { description: 'It can', content: { 'application/json': { schema: flag('ready') } } } },
    errors: ['not_ready'],
  },
  'GET /health': {
    tag: 'Operation',
    summary: 'Every part with its state',
    answers: {
      200: { description: 'Also while a part has a problem', content: { 'application/json': { schema: HEALTH } } },
    },
  },
  'GET /metrics': {
    tag: 'Operation',
    summary: 'Metrics for Prometheus',
    answers: { 200: { description: 'In its text format', content: { 'text/plain': { schema: { type: 'string' } } } } },
  },
}
