import type { OpenApiOperation } from './openapi-document.ts'

/** Requests for a shell, one for each example of the body; without one, one with the examples of its parameters. */
export function curlLines(address: string, path: string, method: string, operation: OpenApiOperation): string[] {
  const { parameters = [], requestBody } = operation
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    String(parameters.find((one) => one.name === name)?.example ?? name.toUpperCase()),
  )
  const url = quoted(address + filled)
  const asked = parameters
    .filter(({ in: place, example }) => place === 'query' && example !== undefined)
    .map(({ name, example }) => ` --data-urlencode ${quoted(`${name}=${example}`)}`)
  const head = (type: string): string =>
    `curl${method === 'post' ? '' : ` -X ${method.toUpperCase()}`} ${url} -H ${quoted(`content-type: ${type}`)}`
  const bodies = Object.entries(requestBody?.content ?? {}).flatMap(([type, { examples = {} }]) =>
    Object.values(examples).map(({ value }) => {
      const body = typeof value === 'string' ? value : JSON.stringify(value)
      return `${head(type)} \\\n  --data-binary ${quoted(body)}`
    }),
  )
  if (bodies.length > 0) return bodies
  if (method === 'get') return [asked.length > 0 ? `curl -G ${url}${asked.join('')}` : `curl ${url}`]
  return requestBody ? [] : [`curl -X ${method.toUpperCase()} ${url}`]
}

/** One word for a shell. */
const quoted = (value: string): string => `'${value.replaceAll("'", `'\\''`)}'`
