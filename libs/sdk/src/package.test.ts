import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'
import { bundle, PACKAGE } from './bundle.fixture.ts'
import { createReports } from './reports.ts'
import { VERSION } from './version.ts'

const read = (name: string): string => readFileSync(join(PACKAGE, name), 'utf8')
const manifest = JSON.parse(read('package.json'))
const readme = read('README.md')

/** Files that are shipped, and not tests. */
const sources = readdirSync(join(PACKAGE, 'src')).filter((name) => /^[^.]+\.ts$/.test(name))

/** KB (1,000 bytes) of a program, minified and gzipped. */
async function sizeOf(text: string): Promise<number> {
  return gzipSync(await bundle({ text }, { minify: true, format: 'esm' }), { level: 9 }).length / 1_000
}

describe('the package', () => {
  test('is as large as README.md says', async () => {
    const [, all, alone] = /is (\d+\.\d) KB gzipped, `createReader` alone (\d+\.\d) KB/.exec(readme)!
    const everything = await sizeOf('export * from "@millrace/sdk"')
    expect(Math.abs(everything - Number(all)), `${everything} KB`).toBeLessThan(0.1)
    const reader = await sizeOf('export { createReader } from "@millrace/sdk"')
    expect(Math.abs(reader - Number(alone)), `${reader} KB`).toBeLessThan(0.1)
  })

  test('has no dependencies and imports nothing but itself', () => {
    for (const kind of ['dependencies', 'peerDependencies', 'optionalDependencies'])
      expect(manifest[kind]).toBeUndefined()
    expect(sources.length).toBeGreaterThan(15)
    for (const name of sources) {
      const { importedFiles } = ts.preProcessFile(read(`src/${name}`))
      const strangers = importedFiles.map(({ fileName }) => fileName).filter((file) => !file.startsWith('./'))
      expect(strangers, name).toEqual([])
    }
  })

  test('documents every option, reason and report', () => {
    const page = read('../../docs/sdk.md')
    const options = [...read('src/options.ts').matchAll(/readonly (\w+)\??:/g)].map(([, name]) => name!)
    const reasons = [...read('src/options.ts').matchAll(/^ {2}\| '(\w+)'/gm)].map(([, name]) => name!)
    expect([options.length, reasons.length]).toEqual([expect.closeTo(25, -1), 5])
    expect([...options, ...reasons].filter((name) => !new RegExp(`\\b${name}\\b`).test(page))).toEqual([])
    const reports = Object.keys(createReports(() => Promise.reject()))
    expect(reports.filter((name) => !new RegExp(`\`${name}[\`(]`).test(readme))).toEqual([])
  })

  test('says its version the same everywhere', () => {
    expect(VERSION).toBe(manifest.version)
  })

  test('ships its code, types and licence, and no tests', () => {
    const report = execFileSync('npm', ['pack', '--dry-run', '--json'], {
      cwd: PACKAGE,
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    const files: string[] = JSON.parse(report.toString())[0].files.map(({ path }: { path: string }) => path)
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json', 'src/index.ts']))
    expect(files.filter((file) => /\.(test|fixture|child)\.|tsbuildinfo/.test(file))).toEqual([])
    expect(manifest.private).toBeUndefined()
  })

  test('has types that a strict program without Node.js understands, and that tell wrong questions', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-types-'))
    const file = join(folder, 'program.ts')
    writeFileSync(file, PROGRAM)
    const program = ts.createProgram([file], {
      strict: true,
      exactOptionalPropertyTypes: true,
      noEmit: true,
      skipLibCheck: true,
      types: [],
      lib: ['lib.es2022.d.ts', 'lib.dom.d.ts'],
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ESNext,
      moduleResolution: ts.ModuleResolutionKind.Bundler,
      allowImportingTsExtensions: true,
      paths: { '@millrace/sdk': [join(PACKAGE, 'src/index.ts')] },
    })
    const found = ts.getPreEmitDiagnostics(program).map(({ file: at, messageText, start }) => {
      const line = at && start !== undefined ? at.getLineAndCharacterOfPosition(start).line + 1 : 0
      return `${at?.fileName}:${line} ${ts.flattenDiagnosticMessageText(messageText, ' ')}`
    })
    rmSync(folder, { recursive: true })
    expect(found).toEqual([])
  }, 60_000)
})

/** Each @ts-expect-error is an error itself where there is none. */
const PROGRAM = `
import { createMillrace, createReader, type Fetch, MillraceApiError } from '@millrace/sdk'
const own: Fetch = globalThis.fetch
const millrace = createMillrace({ url: 'https://x.example', key: undefined, fetch: own, onDrop: (hit, reason) => reason === 'closed' })
const id: string = millrace.pageView({ url: 'https://example.com/', title: undefined })
millrace.pageView({ request: new Request('https://example.com/') })
millrace.pageView({ request: { url: '/', headers: { host: 'a', 'set-cookie': ['b'] }, socket: { remoteAddress: undefined } } })
// @ts-expect-error neither a url nor a request
millrace.pageView({ title: 'x' })
// @ts-expect-error no such field
millrace.pageView({ url: 'https://example.com/', colour: 'red' })
// @ts-expect-error a page view has no value
millrace.batch([{ type: 'page_view', url: 'https://example.com/', value: 1 }])
millrace.batch([{ url: 'https://example.com/' }, { type: 'engagement', page_id: id, engaged_ms: 1 }])

const { query, reports } = createReader({ url: 'https://x.example' })
export async function ask(): Promise<void> {
  const { rows, totals } = await query({ period: '7d', metrics: ['visitors', 'bounce_rate'], dimensions: ['day', 'weekday', 'props.plan'] })
  const day: string = rows[0]!.day
  const weekday: number = rows[0]!.weekday
  const plan: string = rows[0]!['props.plan']
  const visitors: number = totals.visitors + (rows[0]!.previous?.visitors ?? 0)
  const rate: number | null = rows[0]!.bounce_rate
  // @ts-expect-error a rate may be null
  const sure: number = rows[0]!.bounce_rate
  // @ts-expect-error not asked
  rows[0]!.country
  // @ts-expect-error no such metric
  await query({ period: '7d', metrics: ['clicks'] })
  // @ts-expect-error no such dimension
  await query({ period: '7d', metrics: ['visitors'], dimensions: ['colour'] })
  // @ts-expect-error no operator
  await query({ period: '7d', metrics: ['visitors'], filter: { dimension: 'path' } })
  const [page] = (await reports.pages({ filter: { not: { dimension: 'path', contains: ['/admin'] } } })).rows
  const path: string = page!.path
  const tagged = (await reports.tag('section', { metrics: ['sessions'] })).rows[0]!
  const both: [string, number] = [tagged['tags.section'], tagged.sessions]
  const summary = (await reports.summary()).rows[0]!
  // @ts-expect-error a summary has no dimension
  summary.day
  const error: unknown = null
  if (error instanceof MillraceApiError) error.problem?.errors?.[0]?.pointer
  void [day, weekday, plan, visitors, rate, sure, path, both]
}
`
