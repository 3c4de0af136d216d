import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

/**
 * What to start a worker thread with whose entry is the module `source` (`new URL('./x.ts', import.meta.url)`). Compiled code
 * starts `./x.js`. Sources start as they are on a Node that strips types, else through tsx, whose `--import` does not
 * reach the entry of a worker: its API does.
 */
export function threadEntry(source: URL): { url: URL; execArgv: string[] } {
  if (!import.meta.url.endsWith('.ts')) return { url: new URL(source.href.replace(/\.ts$/, '.js')), execArgv: [] }
  const execArgv = ['--conditions=source']
  if ('typescript' in process.features && process.features.typescript) return { url: source, execArgv }
  const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx/esm/api')).href.replace(/\.cjs$/, '.mjs')
  const script = `const { register } = await import('${tsx}'); register(); await import('${source.href}')`
  return { url: new URL(`data:text/javascript,${encodeURIComponent(script)}`), execArgv }
}
