/** GET /docs: the OpenAPI document as one page of plain HTML, without scripts and without anything from elsewhere. */
import { hash } from 'node:crypto'
import { curlLines } from './curl-lines.ts'
import type { OpenApi, OpenApiOperation } from './openapi-document.ts'
import type { Schema } from './operation.ts'

const STYLE = `:root{color-scheme:light dark;--line:#8884;--soft:#8881;--link:#2563eb}
@media(prefers-color-scheme:dark){:root{--link:#8ab4ff}}
*{box-sizing:border-box}body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1rem}
a{color:var(--link)}h1{margin:.5rem 0}h2{margin:2.5rem 0 .5rem}h3{margin:0;font-size:1.1rem;overflow-wrap:anywhere}
section{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:1rem}section:target{border-color:var(--link)}
nav ul{columns:18rem;list-style:none;padding:0;margin:.25rem 0 1rem}nav a{text-decoration:none}
code,pre{font:.85em/1.5 ui-monospace,monospace}pre{background:var(--soft);border-radius:.25rem;overflow-x:auto;padding:.75rem}
table{border-collapse:collapse;display:block;overflow-x:auto}td,th{border-bottom:1px solid var(--line);padding:.25rem .75rem .25rem 0;text-align:left;vertical-align:top}
summary{cursor:pointer;margin:.5rem 0}b.m{background:var(--soft);border-radius:.25rem;font-size:.8em;padding:.15rem .4rem}.q{opacity:.75}`

/** The page may show itself, with this style, and nothing else. */
export const PAGE_POLICY = `default-src 'none'; style-src 'sha256-${hash('sha256', STYLE, 'base64')}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** `address` stands in the lines to copy, such as `http://127.0.0.1:8700`. */
export function writePage(document: OpenApi, address: string): string {
  const { info, tags, paths, components } = document
  const operations = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  const of = (tag: string) => operations.filter(({ operation }) => operation.tags.includes(tag))
  const links = tags.map(
    ({ name }) =>
      `<b>${text(name)}</b><ul>${of(name)
        .map(
          ({ path, method, operation }) =>
            `<li><a href="#${operation.operationId}"><code>${method.toUpperCase()} ${text(path)}</code></a></li>`,
        )
        .join('')}</ul>`,
  )
  const bodies = tags.map(
    ({ name }) =>
      `<h2>${text(name)}</h2>${of(name)
        .map((one) => showOperation(one, address))
        .join('')}`,
  )
  const schemas = Object.entries(components.schemas)
    .map(([name, schema]) => `<section id="schema-${text(name)}"><h3>${text(name)}</h3>${showSchema(schema)}</section>`)
    .join('')
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>${text(info.title)} API</title><style>${STYLE}</style></head>
<body><h1>${text(info.title)} API <small class="q">${text(info.version)}</small></h1><p>${prose(info.description)}
For programs: <a href="/v1/openapi.json">openapi.json</a>.</p>
<p>Where a key is needed, add <code>-H 'authorization: Bearer KEY'</code>. ${prose(String(components.securitySchemes.key?.description ?? ''))}</p>
<nav>${links.join('')}</nav>${bodies.join('')}<h2>Schemas</h2>${schemas}</body></html>
`
}

interface Shown {
  readonly path: string
  readonly method: string
  readonly operation: OpenApiOperation
}

function showOperation({ path, method, operation }: Shown, address: string): string {
  const { operationId, summary, description = '', security } = operation
  const parts = [
    `<h3><b class="m">${method.toUpperCase()}</b> ${code(path)}${security ? ' <span class="q">key</span>' : ''}</h3>`,
    `<p><b>${prose(summary)}.</b> ${prose(description)}</p>`,
    showParameters(operation),
    showBodies(operation),
    ...curlLines(address, path, method, operation).map(pre),
    showAnswers(operation),
    showErrors(operation),
  ]
  return `<section id="${operationId}">${parts.join('')}</section>`
}

function showParameters({ parameters = [] }: OpenApiOperation): string {
  const rows = parameters.map(({ name, in: place, schema, description, required }) => {
    const meaning = `${required && place !== 'path' ? 'Required. ' : ''}${prose(description)}`
    return [code(name), place, prose(typeOf(schema)), meaning]
  })
  return table(['parameter', 'in', 'type', 'meaning'], rows)
}

function showBodies({ requestBody }: OpenApiOperation): string {
  const bodies = Object.entries(requestBody?.content ?? {})
  return bodies.map(([type, { schema }]) => fold(`Body: ${code(type)}`, showSchema(schema))).join('')
}

type Answers = [status: string, answer: OpenApiOperation['responses'][string]][]
const answersOf = ({ responses }: OpenApiOperation, areErrors: boolean): Answers =>
  Object.entries(responses).filter(([status]) => Number(status) >= 400 === areErrors)

function showAnswers(operation: OpenApiOperation): string {
  const answers = answersOf(operation, false).map(([status, { description, content = {} }]) => {
    const bodies = Object.entries(content).map(([type, { schema, examples = {} }]) => {
      const shown = Object.values(examples).map(({ value }) => pre(JSON.stringify(value, null, 2)))
      return `<p>${code(type)}</p>${showSchema(schema)}${shown.join('')}`
    })
    return fold(`${status}: ${prose(description)}`, bodies.join(''))
  })
  return answers.join('')
}

function showErrors(operation: OpenApiOperation): string {
  const errors = answersOf(operation, true)
  const rows = errors.map(([status, { description }]) => [status, prose(description)])
  return fold(`Errors: ${errors.map(([status]) => status).join(', ')}`, table(['status', 'codes'], rows))
}

/** The fields of an object; of several forms, each; of anything else its type. */
function showSchema(given: Schema): string {
  if (typeof given.$ref === 'string') return `<p>${typeLink(given.$ref)}</p>`
  const forms = (given.anyOf ?? given.oneOf ?? given.allOf) as Schema[] | undefined
  if (forms?.every((form) => 'const' in form && form.description))
    return table(
      ['value', 'meaning'],
      forms.map((form) => [code(String(form.const)), prose(String(form.description))]),
    )
  if (forms?.some((form) => form.properties || form.$ref))
    return forms.map((form) => showSchema(form)).join('<p>or</p>')
  const { properties, required = [] } = given as { properties?: Record<string, Schema>; required?: string[] }
  if (!properties)
    return `<p>${prose(typeOf(given))}${given.description ? `. ${prose(String(given.description))}` : ''}</p>`
  return table(
    ['field', 'type', 'meaning'],
    Object.entries(properties).map(([name, schema]) => [
      `${code(name)}${required.includes(name) ? '' : ' <span class="q">optional</span>'}`,
      refOf(schema) ?? prose(typeOf(schema)),
      prose(String(schema.description ?? '')),
    ]),
  )
}

const refOf = (schema: Schema): string | null => {
  if (typeof schema.$ref === 'string') return typeLink(schema.$ref)
  const items = schema.items as Schema | undefined
  return typeof items?.$ref === 'string' ? `list of ${typeLink(items.$ref)}` : null
}

function typeLink(ref: string): string {
  const name = ref.slice(ref.lastIndexOf('/') + 1)
  return `<a href="#schema-${text(name)}">${text(name)}</a>`
}

/** In a few words: the type, and what is allowed of it. Codes stand in backquotes. */
function typeOf(schema: Schema): string {
  const { $ref, type, items, pattern, minimum, maximum, maxLength, maxItems, additionalProperties } = schema
  const named = (values: unknown[]): string => values.map((value) => `\`${JSON.stringify(value)}\``).join(', ')
  if (typeof $ref === 'string') return $ref.slice($ref.lastIndexOf('/') + 1)
  if ('const' in schema) return named([schema.const])
  if (Array.isArray(schema.enum)) return named(schema.enum)
  const forms = (schema.anyOf ?? schema.oneOf) as Schema[] | undefined
  if (forms) return forms.map((form) => typeOf(form)).join(forms.every((form) => 'const' in form) ? ', ' : ' or ')
  const limits = [
    typeof minimum === 'number' && `from ${minimum}`,
    typeof maximum === 'number' && `to ${maximum}`,
    typeof maxLength === 'number' && `up to ${maxLength} characters`,
    typeof maxItems === 'number' && `up to ${maxItems}`,
    typeof pattern === 'string' && `\`${pattern}\``,
  ].filter(Boolean)
  const inner = typeof items === 'object' ? `list of ${typeOf(items as Schema)}` : undefined
  const values =
    typeof additionalProperties === 'object' && !schema.properties
      ? ` of ${typeOf(additionalProperties as Schema)}`
      : ''
  return [`${inner ?? [type ?? 'anything'].flat().join(' or ')}${values}`, ...limits].join(', ')
}

const text = (value: string): string =>
  value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
const code = (value: string): string => `<code>${text(value)}</code>`
const pre = (value: string): string => `<pre>${text(value)}</pre>`
/** Text in which backquotes stand around code. */
const prose = (value: string): string => text(value).replaceAll(/`([^`]+)`/g, '<code>$1</code>')
const fold = (title: string, body: string): string => `<details><summary>${title}</summary>${body}</details>`

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  if (rows.length === 0) return ''
  const cells = (row: readonly string[], tag: string): string =>
    `<tr>${row.map((cell) => `<${tag}>${cell}</${tag}>`).join('')}</tr>`
  return `<table>${cells(heads, 'th')}${rows.map((row) => cells(row, 'td')).join('')}</table>`
}
