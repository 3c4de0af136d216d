/**
 * Load as a process of its own: `node --conditions=source --import tsx bench/load/cli.ts '{"rate":5000,"seconds":10}'`.
 * The argument is JSON of LoadOptions; a report a second on stdout, the last one marked `final`. SIGTERM ends it early.
 */
import { LOAD_DEFAULTS, LoadGenerator, type LoadOptions } from './generator.ts'

const given = JSON.parse(process.argv[2] ?? '{}') as Partial<LoadOptions>
const unknown = Object.keys(given).filter((name) => !(name in LOAD_DEFAULTS))
if (unknown.length > 0) throw new Error(`unknown options: ${unknown.join(', ')}`)

const generator = new LoadGenerator({ ...LOAD_DEFAULTS, ...given })
const print = (report: object): void => console.log(JSON.stringify(report))
const timer = setInterval(() => print(generator.report()), 1_000)
process.on('SIGTERM', () => generator.stop())
process.on('SIGINT', () => generator.stop())
// The parent is gone: nobody would end this.
process.on('disconnect', () => generator.stop())
const final = await generator.done
clearInterval(timer)
print({ ...final, final: true })
process.disconnect?.()
