/** One validation for the API and the command line: every mistake is named by its JSON pointer, unknown fields too. */
import {
  BOT_RULES,
  type ErrorCode,
  type FieldError,
  type GoalSettings,
  MillraceError,
  SITE_PATTERN,
  SiteSettings,
} from '@millrace/shared'
import { type TSchema, Type } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler, type ValueError, ValueErrorType } from '@sinclair/typebox/compiler'
import { GOAL_TYPE_NAMES, goalForm } from './goal-form.ts'
import { KEY_SCOPES, type KeyScope } from './key.ts'
import { mostAlike } from './most-alike.ts'

const SITE_ID = new RegExp(SITE_PATTERN)
const ID_DETAIL = 'must be 1 to 64 of a-z, 0-9, dot, dash and underscore, and begin with a letter or a digit'
const HOSTNAME =
  /^(\*\.)?([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$|^\[[0-9a-f:.]+\]$/

const settingsForm = TypeCompiler.Compile(Type.Partial(SiteSettings, { additionalProperties: false }))
const keyForm = TypeCompiler.Compile(
  Type.Object(
    {
      name: Type.Optional(Type.String({ maxLength: 128, description: 'Name for people' })),
      scopes: Type.Array(Type.Union(KEY_SCOPES.map((scope) => Type.Literal(scope))), {
        minItems: 1,
        uniqueItems: true,
      }),
      sites: Type.Optional(Type.Array(Type.String({ pattern: SITE_PATTERN }), { maxItems: 1_000, uniqueItems: true })),
    },
    { additionalProperties: false },
  ),
)

/** What a key is asked for with. */
export interface KeyInput {
  readonly name?: string
  readonly scopes: readonly KeyScope[]
  readonly sites?: readonly string[]
}

/** @throws MillraceError site_invalid */
export function checkSiteId(id: unknown): asserts id is string {
  if (typeof id === 'string' && SITE_ID.test(id)) return
  throw new MillraceError('site_invalid', `The id of a site ${ID_DETAIL}.`, [
    { code: 'site_invalid', pointer: '/id', detail: ID_DETAIL },
  ])
}

/** Adds every mistake in the filter of a goal to `errors`, below `pointer`: whoever answers queries knows how they are read. */
export type FilterCheck = (filter: unknown, pointer: string, errors: FieldError[]) => unknown

/** A new goal, with its id. @throws as readSettings */
export function readGoal(
  id: unknown,
  input: unknown,
  checkFilter: FilterCheck,
): { id: string; settings: GoalSettings } {
  const errors: FieldError[] = []
  if (id === undefined) errors.push({ code: 'field_missing', pointer: '/id', detail: 'is missing' })
  else if (typeof id !== 'string' || !SITE_ID.test(id)) {
    errors.push({ code: 'field_invalid', pointer: '/id', detail: ID_DETAIL })
  }
  errors.push(...goalErrors(input))
  const { type, filter } = (isObject(input) ? input : {}) as { type?: unknown; filter?: unknown }
  if (type === 'event' && filter !== undefined) checkFilter(filter, '/filter', errors)
  if (errors.length > 0) throw refusal(errors)
  return { id: id as string, settings: input as GoalSettings }
}

function goalErrors(input: unknown): FieldError[] {
  if (!isObject(input)) return [{ code: 'field_invalid', pointer: '', detail: 'must be a JSON object' }]
  const { type } = input as { type?: unknown }
  const form = goalForm(type)
  if (form) return formErrors(form, input)
  const detail = `must be one of ${GOAL_TYPE_NAMES.join(', ')}`
  return [
    type === undefined
      ? { code: 'field_missing', pointer: '/type', detail: 'is missing' }
      : { code: 'field_invalid', pointer: '/type', detail },
  ]
}

/** What a site is told. Host names become lower case. @throws MillraceError config_invalid, or the one code that all mistakes share */
export function readSettings(input: unknown): Partial<SiteSettings> {
  const errors = formErrors(settingsForm, input)
  const settings = input as Partial<SiteSettings>
  const bad = new Set(errors.map(({ pointer }) => pointer))
  if (isObject(input)) {
    if (settings.timezone && !bad.has('/timezone') && !isTimeZone(settings.timezone)) {
      const detail = `${JSON.stringify(settings.timezone)} is not an IANA time zone such as Europe/Vienna`
      errors.push({ code: 'timezone_unknown', pointer: '/timezone', detail })
    }
    if (Array.isArray(settings.hostnames)) checkHostnames(settings.hostnames, bad, errors)
    if (Array.isArray(settings.disabled_bot_rules)) checkBotRules(settings.disabled_bot_rules, bad, errors)
  }
  if (errors.length > 0) throw refusal(errors)
  const { hostnames } = settings
  return { ...settings, ...(hostnames && { hostnames: [...new Set(hostnames.map((name) => name.toLowerCase()))] }) }
}

function checkHostnames(hostnames: readonly unknown[], bad: ReadonlySet<string>, errors: FieldError[]): void {
  for (const [i, hostname] of hostnames.entries()) {
    const pointer = `/hostnames/${i}`
    if (bad.has(pointer) || typeof hostname !== 'string' || HOSTNAME.test(hostname.toLowerCase())) continue
    const detail = 'must be a host name such as example.com or *.example.com, without scheme, port and path'
    errors.push({ code: 'field_invalid', pointer, detail })
  }
}

function checkBotRules(names: readonly unknown[], bad: ReadonlySet<string>, errors: FieldError[]): void {
  for (const [i, name] of names.entries()) {
    const pointer = `/disabled_bot_rules/${i}`
    if (bad.has(pointer) || typeof name !== 'string' || BOT_RULES.includes(name)) continue
    const detail =
      `${JSON.stringify(name)} is not a bot rule; most like it are ${mostAlike(name, BOT_RULES).join(', ')}. ` +
      'docs/reference/bots.md lists them all'
    errors.push({ code: 'field_invalid', pointer, detail })
  }
}

/** What a key is to be. `isSite` tells the sites that there are. @throws as readSettings */
export function readKeyInput(input: unknown, isSite: (id: string) => boolean): KeyInput {
  const errors = formErrors(keyForm, input)
  const { sites } = (isObject(input) ? input : {}) as { sites?: unknown }
  if (errors.length === 0 && Array.isArray(sites)) {
    for (const [i, site] of (sites as string[]).entries()) {
      if (!isSite(site)) errors.push({ code: 'site_unknown', pointer: `/sites/${i}`, detail: 'is not a site' })
    }
  }
  if (errors.length > 0) throw refusal(errors)
  return input as KeyInput
}

/** Fields that are to be their default again are null in a change: they are taken out, the others are returned. */
export function splitNulls(input: unknown): { set: unknown; unset: readonly string[] } {
  if (!isObject(input)) return { set: input, unset: [] }
  const known = Object.keys(SiteSettings.properties)
  const isUnset = ([name, value]: [string, unknown]): boolean => value === null && known.includes(name)
  const entries = Object.entries(input)
  return {
    set: Object.fromEntries(entries.filter((entry) => !isUnset(entry))),
    unset: entries.filter(isUnset).map(([name]) => name),
  }
}

const isObject = (input: unknown): input is object =>
  typeof input === 'object' && input !== null && !Array.isArray(input)

function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) return false
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}

function formErrors(form: TypeCheck<TSchema>, input: unknown): FieldError[] {
  if (!isObject(input)) return [{ code: 'field_invalid', pointer: '', detail: 'must be a JSON object' }]
  const errors = new Map<string, FieldError>()
  for (const error of form.Errors(input)) if (!errors.has(error.path)) errors.set(error.path, describe(error))
  return [...errors.values()]
}

function describe({ type, path, message, schema }: ValueError): FieldError {
  if (type === ValueErrorType.ObjectAdditionalProperties) {
    return { code: 'field_unknown', pointer: path, detail: 'is not a field' }
  }
  if (type === ValueErrorType.ObjectRequiredProperty)
    return { code: 'field_missing', pointer: path, detail: 'is missing' }
  if (type === ValueErrorType.Union) {
    const choices = (schema.anyOf as { const: string }[]).map((choice) => choice.const)
    return { code: 'field_invalid', pointer: path, detail: `must be one of ${choices.join(', ')}` }
  }
  return { code: 'field_invalid', pointer: path, detail: `${message[0]!.toLowerCase()}${message.slice(1)}` }
}

function refusal(errors: readonly FieldError[]): MillraceError {
  const codes = new Set(errors.map(({ code }) => code))
  const code: ErrorCode = codes.size === 1 ? errors[0]!.code : 'config_invalid'
  const detail = errors.map((error) => `${error.pointer || 'The body'} ${error.detail}`).join('; ')
  return new MillraceError(code === 'site_unknown' ? 'config_invalid' : code, `${detail}.`, errors)
}
