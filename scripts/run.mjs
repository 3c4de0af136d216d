#!/usr/bin/env node
// The few commands of the repository, on a clean clone too: what is missing is installed and built first.
// Plain JavaScript without dependencies, because it runs before anything is installed.
import { spawnSync } from 'node:child_process'
import { createHash, randomInt } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const [command, ...args] = process.argv.slice(2)

const COMMANDS = {
  start: () => become(join(root, 'services/standalone/bin/millrace'), 'start', ...args),
  test: () => (args.length > 0 ? run('npx', 'vitest', 'run', ...args) : runAll()),
  check: () => runChecks(),
  e2e: () => runScript('test/e2e', 'e2e', ['crash', 'faults', 'killpoints', 'model', 'containers']),
  bench: () =>
    runScript('bench', 'bench', [
      'spine',
      'fairness',
      'log',
      'enrich',
      'store',
      'kafka',
      'query',
      'sql-load',
      'verify',
      'overload',
      'ratios',
    ]),
  fuzz: () => runFuzz(Number(args[0] ?? 10)),
  cluster: () => become(process.execPath, join(root, 'infra/cluster/cluster.mjs'), ...args),
}

try {
  if (!Object.hasOwn(COMMANDS, command)) fail(`usage: node scripts/run.mjs ${Object.keys(COMMANDS).join(' | ')}`)
  requireNode()
  installIfNeeded()
  buildIfNeeded()
  COMMANDS[command]()
} catch (error) {
  fail(error.message)
}

/** Everything that must hold: types, lint, import rules, dead code, then unit, contract and e2e tests, and the broker tool's. */
function runAll() {
  runChecks()
  run('npx', 'vitest', 'run', ...['unit', 'contract', 'e2e'].flatMap((name) => ['--project', name]))
  run(process.execPath, '--test', 'infra/kafka/kafka.test.mjs')
}

function runChecks() {
  run('npx', 'biome', 'check', '.')
  run('npx', 'tsc', '-b')
  run('npx', 'depcruise', '--config', 'dependency-cruiser.config.mjs', 'libs', 'services', 'bench', 'test/e2e')
  run('npx', 'knip')
}

/** `npm run e2e -- crash` runs test/e2e/crash.e2e.ts; without a name the short runs of `npm test`. */
function runScript(folder, kind, known) {
  const [name, ...rest] = args
  if (!name && kind === 'e2e') return run('npx', 'vitest', 'run', '--project', 'e2e')
  const file = join(root, folder, `${name}.${kind}.ts`)
  if (!name || !existsSync(file)) fail(`usage: npm run ${kind} -- ${known.join(' | ')} [options]`)
  become(process.execPath, '--conditions=source', '--import', 'tsx', file, ...rest)
}

/** The property tests with new random cases, `npm run fuzz -- 100` for 100 rounds; a failure names its seed. */
function runFuzz(rounds) {
  const files = readdirSync(root, { recursive: true }).filter(
    (file) => /^(libs|services|bench)\b(?!.*node_modules).*\.test\.ts$/.test(file) && usesProperties(join(root, file)),
  )
  for (let round = 1; round <= rounds; round++) {
    process.env.PROPERTY_SEED = String(randomInt(2 ** 31))
    say(`round ${round} of ${rounds}: PROPERTY_SEED=${process.env.PROPERTY_SEED}`)
    run('npx', 'vitest', 'run', '--project', 'unit', ...files)
  }
}

function usesProperties(file) {
  return readFileSync(file, 'utf8').includes("from 'fast-check'")
}

function requireNode() {
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major < 20 || (major === 20 && minor < 19))
    fail(`Millrace needs Node.js 20.19 or newer; this is ${process.versions.node}`)
}

/** node_modules belongs to the lock file as it is now, or it is installed anew. */
function installIfNeeded() {
  const stamp = join(root, 'node_modules/.millrace-lock')
  const hash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return
  say('installing the packages of package-lock.json (about 600 MB, once)')
  run('npm', 'ci', '--no-audit', '--no-fund', '--loglevel=error')
  writeFileSync(stamp, hash)
}

/** Built files are newer than every source, or `tsc -b` brings them up to date. */
function buildIfNeeded() {
  const stamp = join(root, 'node_modules/.millrace-built')
  const hash = createHash('sha256')
  for (const group of ['libs', 'services']) {
    for (const name of readdirSync(join(root, group))) hashSources(hash, join(root, group, name, 'src'))
  }
  hashSources(hash, join(root, 'tsconfig.base.json'))
  const state = hash.digest('hex')
  if (
    existsSync(stamp) &&
    readFileSync(stamp, 'utf8') === state &&
    existsSync(join(root, 'services/standalone/dist/cli.js'))
  )
    return
  say('building')
  run('npx', 'tsc', '-b', 'services/standalone')
  mkdirSync(dirname(stamp), { recursive: true })
  writeFileSync(stamp, state)
}

/** Names, sizes and times are enough, and cost milliseconds. */
function hashSources(hash, path) {
  if (!existsSync(path)) return
  const stat = statSync(path)
  if (!stat.isDirectory()) return void hash.update(`${path} ${stat.size} ${stat.mtimeMs}\n`)
  for (const entry of readdirSync(path).sort()) hashSources(hash, join(path, entry))
}

function run(program, ...programArgs) {
  const { status, signal, error } = spawnSync(program, programArgs, { cwd: root, stdio: 'inherit', env: process.env })
  if (error) throw error
  if (status !== 0) process.exit(status ?? (signal ? 1 : 0))
}

/** Replaces this process as far as Node can: signals reach the child, its exit code is ours. */
async function become(program, ...programArgs) {
  const { spawn } = await import('node:child_process')
  // As the command `millrace` has it, for benches and tests that open the embedded ClickHouse themselves.
  const env = { UV_THREADPOOL_SIZE: '16', ...process.env, npm_node_execpath: process.execPath }
  const child = spawn(program, programArgs, { stdio: 'inherit', env })
  // A terminal sends its signals to the whole group; those sent to this process alone are passed on.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
}

function say(text) {
  process.stderr.write(`millrace: ${text}\n`)
}

function fail(text) {
  say(text)
  process.exit(1)
}
