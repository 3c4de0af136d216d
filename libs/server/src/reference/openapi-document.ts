import { ERROR_CODES, type ErrorCode } from '@millrace/shared'
import type { Route } from './describe-routes.ts'
import type { Answered, Content, Operation, Parameter, Schema } from './operation.ts'

/** An OpenAPI 3.1 document, as far as we write it. */
export interface OpenApi {
  readonly openapi: string
  readonly info: { readonly title: string; readonly version: string; readonly description: string }
  readonly servers: readonly { readonly url: string }[]
  readonly tags: readonly { readonly name: string }[]
  readonly paths: Readonly<Record<string, Readonly<Record<string, OpenApiOperation>>>>
  readonly components: {
    readonly schemas: Readonly<Record<string, Schema>>
    readonly securitySchemes: Readonly<Record<string, Schema>>
  }
}

export interface OpenApiOperation {
  readonly operationId: string
  readonly tags: readonly string[]
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly OpenApiParameter[]
  readonly requestBody?: { readonly required: boolean; readonly content: OpenApiContent }
  readonly responses: Readonly<Record<string, OpenApiAnswer>>
  readonly security?: readonly Readonly<Record<string, readonly string[]>>[]
}
type OpenApiParameter = Omit<Parameter, 'required'> & { readonly required: boolean }
type OpenApiContent = Readonly<
  Record<string, { readonly schema: Schema; readonly examples?: Readonly<Record<string, { readonly value: unknown }>> }>
>
interface OpenApiAnswer {
  readonly description: string
  readonly content?: OpenApiContent
}

/** A route with what is said of it, and the scope that its address needs; null = no key. */
export interface DescribedRoute extends Route {
  readonly operation: Operation
  readonly scope: string | null
}

const PROBLEM_TYPE = 'application/problem+json'
/** What any address may answer. */
const OF_ALL: readonly ErrorCode[] = ['internal']
const OF_GUARDED: readonly ErrorCode[] = ['unauthorized', 'forbidden']
const OF_BODIES: readonly ErrorCode[] = ['media_type_unsupported', 'body_too_large', 'request_timeout']

const FIELD_ERROR: Schema = {
  $id: 'FieldError',
  type: 'object',
  required: ['code', 'pointer', 'detail'],
  additionalProperties: false,
  properties: {
    code: { $ref: '#/components/schemas/ErrorCode' },
    pointer: { type: 'string', description: 'JSON pointer into the body as sent' },
    detail: { type: 'string', description: 'For people' },
  },
}
const ERROR_CODE: Schema = { $id: 'ErrorCode', type: 'string', enum: Object.keys(ERROR_CODES) }
/** Every error is one of these (RFC 9457). */
const PROBLEM: Schema = {
  $id: 'Problem',
  type: 'object',
  required: ['type', 'title', 'status', 'code', 'detail'],
  properties: {
    type: { type: 'string', description: '`urn:millrace:error:` and the code' },
    title: { type: 'string' },
    status: { type: 'integer' },
    code: ERROR_CODE,
    detail: { type: 'string', description: 'For people' },
    errors: { type: 'array', items: FIELD_ERROR, description: 'What is wrong with which field' },
  },
}

/** Writes the document of routes, in their order. */
export function writeOpenApi(routes: readonly DescribedRoute[], version: string): OpenApi {
  const schemas = new Map<string, Schema>()
  const paths: Record<string, Record<string, OpenApiOperation>> = {}
  for (const route of routes) {
    const path = route.url.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [route.method.toLowerCase()]: operationOf(route, schemas) }
  }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Millrace',
      version,
      description:
        'Privacy-friendly web analytics. Names are snake_case; times are RFC 3339 in UTC with milliseconds, or epoch milliseconds. ' +
        'Every error is a problem document (RFC 9457) with a `code`; 429 and 503 carry `Retry-After` in seconds.',
    },
    servers: [{ url: '/' }],
    tags: [...new Set(routes.map(({ operation }) => operation.tag))].map((name) => ({ name })),
    paths,
    components: {
      schemas: Object.fromEntries([...schemas].sort(([a], [b]) => (a < b ? -1 : 1))),
      securitySchemes: {
        key: {
          type: 'http',
          scheme: 'bearer',
          description:
            'A key with the scope that the operation names (`admin` has them all), or MILLRACE_ADMIN_KEY. On loopback without MILLRACE_ADMIN_KEY none is needed.',
        },
      },
    },
  }
}

function operationOf(
  { method, url, operation, scope }: DescribedRoute,
  schemas: Map<string, Schema>,
): OpenApiOperation {
  const { tag, summary, description, body, answers } = operation
  const parameters = parametersOf(url, operation, schemas)
  const needed = operation.scope ?? scope
  const told = needed === null ? description : [description, `Needs the scope \`${needed}\`.`].filter(Boolean).join(' ')
  return {
    operationId: idOf(method, url),
    tags: [tag],
    summary,
    ...(told && { description: told }),
    ...(parameters.length > 0 && { parameters }),
    ...(body && { requestBody: { required: true, content: contentOf(body, schemas) } }),
    responses: {
      ...Object.fromEntries(Object.entries(answers).map(([status, answer]) => [status, answerOf(answer, schemas)])),
      ...problemsOf(errorsOf(operation, scope), operation.problemFields ?? {}, schemas),
    },
    ...(needed !== null && { security: [{ key: [needed] }] }),
  }
}

/** `GET /v1/sites/:id` is get_sites_id. */
const idOf = (method: string, url: string): string =>
  [method.toLowerCase(), ...url.replace(/^\/v1(?=\/)/, '').split(/\W+/)].filter(Boolean).join('_') +
  (url.length > 1 && url.endsWith('/') ? '_root' : '')

function parametersOf(
  url: string,
  { parameters = [] }: Operation,
  schemas: Map<string, Schema>,
): readonly OpenApiParameter[] {
  const named = new Set(parameters.map(({ name }) => name))
  const ofAddress = [...url.matchAll(/:(\w+)/g)]
    .map(([, name]) => name!)
    .filter((name) => !named.has(name))
    .map(
      (name): Parameter => ({
        name,
        in: 'path',
        description: `Id of the ${name === 'id' ? 'site' : name}`,
        schema: { type: 'string' },
      }),
    )
  return [...ofAddress, ...parameters].map((parameter) => ({
    ...parameter,
    required: parameter.in === 'path' || parameter.required === true,
    schema: hoist(parameter.schema, schemas),
  }))
}

function contentOf(content: Readonly<Record<string, Content>>, schemas: Map<string, Schema>): OpenApiContent {
  return Object.fromEntries(
    Object.entries(content).map(([type, { schema, examples }]) => [
      type,
      {
        schema: hoist(schema, schemas),
        ...(examples && {
          examples: Object.fromEntries(Object.entries(examples).map(([name, value]) => [name, { value }])),
        }),
      },
    ]),
  )
}

const answerOf = ({ description, content }: Answered, schemas: Map<string, Schema>): OpenApiAnswer => ({
  description,
  ...(content && { content: contentOf(content, schemas) }),
})

const errorsOf = ({ errors = [], body }: Operation, scope: string | null): ErrorCode[] => [
  ...new Set([...errors, ...(scope === null ? [] : OF_GUARDED), ...(body ? OF_BODIES : []), ...OF_ALL]),
]

/** The codes of one status are one answer. */
function problemsOf(
  codes: readonly ErrorCode[],
  more: Readonly<Record<string, Schema>>,
  schemas: Map<string, Schema>,
): Record<string, OpenApiAnswer> {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const [status] = ERROR_CODES[code]
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, of]) => [
      status,
      {
        description: of.map((code) => `\`${code}\`: ${ERROR_CODES[code][1]}`).join('; '),
        content: {
          [PROBLEM_TYPE]: {
            schema: {
              allOf: [
                hoist(PROBLEM, schemas),
                { type: 'object', properties: { code: { enum: of }, ...hoist(more, schemas) } },
              ],
            },
          },
        },
      },
    ]),
  )
}

/** Moves what has a name of its own to its place in the document. @throws Error when two are of one name */
function hoist(schema: Schema, schemas: Map<string, Schema>): Schema {
  const { $id, ...rest } = Object.fromEntries(
    Object.entries(schema).map(([name, value]) => [name, hoistWithin(value, schemas)]),
  )
  if (typeof $id !== 'string') return $id === undefined ? rest : { $id, ...rest }
  const known = schemas.get($id)
  if (known && JSON.stringify(known) !== JSON.stringify(rest)) throw new Error(`there are two schemas called ${$id}`)
  schemas.set($id, rest)
  return { $ref: `#/components/schemas/${$id}` }
}

function hoistWithin(value: unknown, schemas: Map<string, Schema>): unknown {
  if (Array.isArray(value)) return value.map((one) => hoistWithin(one, schemas))
  return typeof value === 'object' && value !== null ? hoist(value as Schema, schemas) : value
}
