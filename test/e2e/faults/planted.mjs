// Rules of the design switched off in the running product, to see that the faults run notices: the services are started with
// NODE_OPTIONS=--import=…/planted.mjs?start and replace lines of their own compiled code while they load it.
import { readFile } from 'node:fs/promises'
import { register } from 'node:module'

/** Rule -> the compiled file that keeps it, and what its lines become. */
const RULES = {
  'the chain rule': [
    '/services/aggregator/dist/writer/chain.js',
    ['|| !continues(cursor, record)', ''],
    ['record.srcFrom <= cursor.srcMax', 'false'],
  ],
  'the check after doubt': ['/services/aggregator/dist/writer/recover.js', ['missing.length > 0)', 'false)']],
}
export const PLANTED_RULES = Object.keys(RULES)

/** What the environment of the services needs for it. */
export function plantedEnv(rules) {
  const unknown = rules.find((rule) => !Object.hasOwn(RULES, rule))
  if (unknown !== undefined) throw new Error(`${unknown} is none of: ${PLANTED_RULES.join(', ')}`)
  if (rules.length === 0) return {}
  return { NODE_OPTIONS: `--import=${import.meta.url}?start`, RULES_OFF: rules.join() }
}

/** A hook of Node's module loader. A line that is not there any more is an error: the fault would plant nothing. */
export async function load(url, context, nextLoad) {
  const rule = process.env.RULES_OFF?.split(',').find((name) => url.endsWith(RULES[name][0]))
  if (rule === undefined) return nextLoad(url, context)
  let source = await readFile(new URL(url), 'utf8')
  for (const [line, instead] of RULES[rule].slice(1)) {
    if (!source.includes(line)) throw new Error(`${url} has no ${line}: ${rule} cannot be switched off`)
    source = source.replace(line, instead)
  }
  return { format: 'module', source, shortCircuit: true }
}

if (import.meta.url.endsWith('?start')) register(import.meta.url.replace('?start', ''))
