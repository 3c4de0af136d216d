/** What every bench does with its results: head, screen, file. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { cpus, loadavg, totalmem } from 'node:os'

/** Of the minute before the bench began, as its own load would hide what others do. */
const [loadBefore = 0] = loadavg()

const machine = (): string => {
  const processors = `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'unknown CPU'}`
  return `${processors}, ${Math.round(totalmem() / 2 ** 30)} GB, Node ${process.versions.node}, load before ${loadBefore.toFixed(1)}`
}

const command = (bench: string): string => {
  const options = process.argv.slice(2).filter((arg) => arg !== '--no-write')
  return ['npm run bench --', bench, ...options].join(' ')
}

interface Result {
  readonly bench: string
  /** Stands in the file's name, where the same bench shows different things. */
  readonly variant?: string
  readonly title: string
  readonly body: string
  /** False prints only. */
  readonly write: boolean
}

/** Prints the results below their date, machine and command, and writes them to results/. */
export function publish(result: Result): void {
  const date = new Date().toISOString().slice(0, 10)
  const head = `Machine: ${machine()}; what makes the load runs on it too.\nCommand: \`${command(result.bench)}\``
  const text = `# ${result.title}, ${date}\n\n${head}\n\n${result.body.trim()}\n`
  console.log(text)
  if (!result.write) return
  const folder = new URL('./results/', import.meta.url)
  mkdirSync(folder, { recursive: true })
  const name = [result.bench, ...(result.variant ? [result.variant] : []), date].join('-')
  writeFileSync(new URL(`${name}.md`, folder), text)
}
