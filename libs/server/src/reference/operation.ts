import type { ErrorCode } from '@millrace/shared'

/** A JSON schema, as OpenAPI 3.1 takes it. One with an `$id` stands once in the document, under that name. */
export type Schema = Readonly<Record<string, unknown>>

/** A parameter of a query string or a header; those of the address are found in it. */
export interface Parameter {
  readonly name: string
  readonly in: 'query' | 'header' | 'path'
  readonly description: string
  readonly schema: Schema
  readonly required?: boolean
  readonly example?: unknown
}

/** What may be sent, or is answered, in one content type. */
export interface Content {
  readonly schema: Schema
  readonly examples?: Readonly<Record<string, unknown>>
}

/** One answer that is no error. */
export interface Answered {
  readonly description: string
  /** By content type; none = no body. */
  readonly content?: Readonly<Record<string, Content>>
}

/** What a route does, for people and for programs. */
export interface Operation {
  /** Under which heading it stands. */
  readonly tag: string
  readonly summary: string
  readonly description?: string
  readonly parameters?: readonly Parameter[]
  readonly body?: Readonly<Record<string, Content>>
  readonly answers: Readonly<Record<number, Answered>>
  /** Codes of the problem documents that it answers, beside those of every address. */
  readonly errors?: readonly ErrorCode[]
  /** Members that its problem documents have beside the usual ones. */
  readonly problemFields?: Readonly<Record<string, Schema>>
  /** The key is asked for by the route itself, not by its address. */
  readonly scope?: string
}

/** By method and address as the route was added: `GET /v1/sites/:id`. */
export type Operations = Readonly<Record<string, Operation>>

/** A parameter of the query string. */
export const inQuery = (
  name: string,
  description: string,
  schema: Schema,
  more: Pick<Parameter, 'required' | 'example'> = {},
): Parameter => ({ name, in: 'query', description, schema, ...more })

/** A body or an answer in JSON. */
export const json = (schema: Schema, examples?: Content['examples']): Readonly<Record<string, Content>> => ({
  'application/json': { schema, ...(examples && { examples }) },
})

/** An object with these fields and no others; all are always there but the `optional` ones. */
export const objectOf = (properties: Readonly<Record<string, Schema>>, optional: readonly string[] = []): Schema => ({
  type: 'object',
  required: Object.keys(properties).filter((name) => !optional.includes(name)),
  additionalProperties: false,
  properties,
})

export const listOf = (items: Schema): Schema => ({ type: 'array', items })

/** Something with a place and a name of its own in the document. */
export const named = ($id: string, schema: Schema): Schema => ({ $id, ...schema })

export const TEXT: Schema = { type: 'string' }
export const NUMBER: Schema = { type: 'number' }
export const FLAG: Schema = { type: 'boolean' }
/** RFC 3339 in UTC, with milliseconds. */
export const TIME: Schema = { type: 'string', format: 'date-time' }
