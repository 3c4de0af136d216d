#!/usr/bin/env node
// The distributed shape on this machine without Docker: `node infra/cluster/cluster.mjs --help`.
import { execFile, spawn } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'
import { findKafka, freePorts, missingTools as missingForKafka, startKafka } from '../kafka/kafka.mjs'

const run = promisify(execFile)
const HOST = '127.0.0.1'
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const CLI = join(ROOT, 'services/standalone/dist/cli.js')
const STAND_IN = join(ROOT, 'libs/testing/src/clickhouse-server/clickhouse-server.child.ts')
const BALANCER_CONFIG = join(ROOT, 'infra/load-balancer/haproxy.cfg')
const READY_MS = 180_000
const STOP_MS = 40_000

/** What keeps the cluster from doing what it was asked; every message tells the user what to do. */
export class ClusterError extends Error {
  name = 'ClusterError'
}

/** Why the cluster cannot be started on this machine, as a sentence, or null. */
export async function missingTools({ balancer = true } = {}) {
  const missing = await missingForKafka()
  if (missing) return missing
  if (!existsSync(CLI)) return `${CLI} is missing: build first (npx tsc -b services/standalone)`
  if (!balancer) return null
  return run('haproxy', ['-v']).then(
    () => null,
    () => 'the load balancer is HAProxy, and no haproxy was found (apt-get install haproxy)',
  )
}

/**
 * Starts Kafka, ClickHouse (`clickhouseUrl`, else the stand-in of libs/testing), the services and the load balancer, and
 * resolves when all are ready. `basePort` is the balancer's; without it, all ports are free ones. `env` is given to every
 * service, `kafkaSettings` to every broker, `sites` are made. `prepare` is called with the brokers before the topics are
 * made. A `dir` that holds a cluster already goes on with its data.
 */
export async function startCluster(options) {
  const { dir, brokers = 3, balancer = true, clickhouseUrl = '', env = {}, kafkaSettings, detached = false } = options
  const { sites = ['default', 'blog', 'shop', 'docs'] } = options
  const counts = { collector: 2, enricher: 2, aggregator: 2, ...options.services }
  const missing = await missingTools({ balancer })
  if (missing) throw new ClusterError(`Cannot start the cluster: ${missing}`)
  const folder = resolve(dir)
  await mkdir(folder, { recursive: true })
  const ports = await choosePorts(options.basePort, counts)
  const kafkaPorts = options.basePort
    ? Array.from({ length: brokers }, (_, i) => options.basePort + 392 + i)
    : undefined
  const kafkaDir = join(folder, 'kafka')
  const kafka = await startKafka({
    nodes: brokers,
    dir: kafkaDir,
    ports: kafkaPorts,
    settings: kafkaSettings,
    detached,
  })

  const standIn = clickhouseUrl === '' ? standInOf(folder, ports.clickhouse) : null
  const shared = {
    MILLRACE_LOG: 'kafka',
    MILLRACE_KAFKA_BROKERS: kafka.brokers.join(','),
    MILLRACE_CLICKHOUSE_URL: standIn?.url ?? clickhouseUrl,
    // The balancer speaks from loopback, as senders on this machine do.
    MILLRACE_TRUSTED_PROXIES: `${HOST}/32`,
    ...env,
  }
  const services = Object.entries(counts).flatMap(([service, count]) =>
    Array.from({ length: count }, (_, i) => serviceOf(folder, shared, service, `${service}-${i + 1}`, ports)),
  )
  const processes = [...(standIn ? [standIn] : []), ...services]
  if (balancer) processes.push(await balancerOf(folder, services, ports))
  const cluster = { dir: folder, processes }
  const handle = handleOf(cluster, kafka, detached)
  try {
    await options.prepare?.(kafka.brokers)
    await runTopics(folder, shared)
    // ClickHouse and services at once: each waits for what it needs. Collectors after the sites, which they read at their
    // start, and the balancer last, so that it finds them ready.
    const isLate = ({ name }) => name === 'balancer' || name.startsWith('collector-')
    await handle.launchAll(processes.filter((each) => !isLate(each)))
    await addSites(processes, sites, shared.MILLRACE_ADMIN_KEY)
    await handle.launchAll(processes.filter(({ name }) => name.startsWith('collector-')))
    await handle.launchAll(processes.filter(({ name }) => name === 'balancer'))
    await saveState(cluster)
  } catch (error) {
    await handle.abort()
    throw error
  }
  return handle.public
}

/** The cluster that was started with `detached` in `dir`, to stop, kill or restart its parts from another process, or null. */
export async function findCluster({ dir }) {
  const kafka = await findKafka({ dir: join(resolve(dir), 'kafka') })
  if (!kafka || !existsSync(stateFile(resolve(dir)))) return null
  const cluster = JSON.parse(await readFile(stateFile(resolve(dir)), 'utf8'))
  return handleOf(cluster, kafka, true).public
}

const stateFile = (dir) => join(dir, 'cluster.json')
/** For its owner only: the environment of services may hold passwords. */
const saveState = (cluster) =>
  writeFile(stateFile(cluster.dir), `${JSON.stringify(cluster, null, 2)}\n`, { mode: 0o600 })

async function choosePorts(basePort, counts) {
  const names = ['balancer', 'clickhouse']
  for (const [service, count] of Object.entries(counts)) {
    for (let i = 1; i <= count; i++) names.push(`${service}-${i}`)
  }
  if (!basePort) {
    const free = await freePorts(names.length)
    return Object.fromEntries(names.map((name, i) => [name, free[i]]))
  }
  const tens = { collector: 10, enricher: 20, aggregator: 30 }
  const portOf = (name) => {
    const [service, number] = name.split('-')
    if (name === 'balancer') return basePort
    return number ? basePort + tens[service] + Number(number) : basePort + 5
  }
  return Object.fromEntries(names.map((name) => [name, portOf(name)]))
}

/** chDB behind ClickHouse's HTTP dialect, run from its source as it is no part of the product. */
const standInOf = (dir, port) => ({
  name: 'clickhouse',
  url: `http://${HOST}:${port}`,
  readyPath: '/ping',
  program: process.execPath,
  args: ['--conditions=source', '--import', 'tsx', STAND_IN, '--dir', join(dir, 'clickhouse'), '--port', String(port)],
  // Each statement of the engine holds a thread of the pool.
  env: { UV_THREADPOOL_SIZE: '32' },
  cwd: ROOT,
})

const serviceOf = (dir, shared, service, name, ports) => ({
  name,
  url: `http://${HOST}:${ports[name]}`,
  readyPath: '/readyz',
  program: process.execPath,
  args: [CLI, service],
  env: {
    ...shared,
    MILLRACE_PORT: String(ports[name]),
    MILLRACE_DATA_DIR: join(dir, name),
  },
  cwd: ROOT,
})

async function balancerOf(dir, services, ports) {
  const config = join(dir, 'haproxy.cfg')
  const text = await readFile(BALANCER_CONFIG, 'utf8')
  const serversOf = (service) =>
    services
      .filter(({ name }) => name.startsWith(`${service}-`))
      .map(({ name, url }) => `    server ${name} ${new URL(url).host}\n`)
      .join('')
  const own = text
    .replaceAll(/^ *server(-template)? .*\n/gm, '')
    .replaceAll(/^backend (\w+)s\n/gm, (line, service) => line + serversOf(service))
  await writeFile(config, own)
  return {
    name: 'balancer',
    url: `http://${HOST}:${ports.balancer}`,
    readyPath: '/readyz',
    program: 'haproxy',
    args: ['-db', '-f', config],
    env: { BIND: `${HOST}:${ports.balancer}` },
    cwd: dir,
  }
}

/** Nothing of our own environment that begins with MILLRACE_ reaches a service: a test must not depend on it. */
function environment(own) {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('MILLRACE_') && name !== 'VITEST')
  return { ...Object.fromEntries(inherited), ...own }
}

async function runTopics(dir, env) {
  const options = { cwd: dir, env: environment({ ...env, MILLRACE_DATA_DIR: dir }) }
  await run(process.execPath, [CLI, 'topics'], options).catch((error) => {
    throw new ClusterError(`The topics could not be made:\n${error.stderr.trim()}`)
  })
}

/** By an aggregator; those that are there already stay as they are. */
async function addSites(processes, sites, adminKey) {
  const aggregator = processes.find(({ name }) => name.startsWith('aggregator-'))
  for (const id of aggregator ? sites : []) {
    const headers = { 'content-type': 'application/json', ...(adminKey && { authorization: `Bearer ${adminKey}` }) }
    const answer = await fetch(`${aggregator.url}/v1/sites`, { method: 'POST', headers, body: JSON.stringify({ id }) })
    if (!answer.ok && answer.status !== 409) throw new ClusterError(`site ${id}: ${await answer.text()}`)
  }
}

function handleOf(cluster, kafka, detached) {
  /** Exits of the processes that this one started. */
  const exits = new Map()
  const find = (name) => {
    const found = cluster.processes.find((each) => each.name === name)
    if (!found) throw new ClusterError(`There is no ${name}; there are ${names().join(', ')}`)
    return found
  }
  const names = () => [...kafka.nodes().map(({ id }) => `kafka-${id}`), ...cluster.processes.map(({ name }) => name)]
  const brokerOf = (name) => (/^kafka-\d+$/.test(name) ? Number(name.slice(6)) : null)

  const launch = (each) => {
    const log = openSync(join(cluster.dir, `${each.name}.log`), 'a')
    const stdio = ['ignore', log, log]
    const child = spawn(each.program, each.args, { cwd: each.cwd, env: environment(each.env), detached, stdio })
    closeSync(log)
    each.pid = child.pid
    exits.set(each.name, new Promise((done) => child.once('exit', (code, signal) => done({ code, signal }))))
    child.unref()
  }
  const launchAll = async (list) => {
    for (const each of list) launch(each)
    await Promise.all(list.map((each) => waitUntilReady(cluster, each)))
  }
  const killAll = () => {
    for (const each of cluster.processes) if (isRunning(each)) signal(each, 'SIGKILL')
  }
  if (!detached) process.once('exit', killAll) // a test that ends in the middle leaves nothing behind
  const abort = async () => {
    process.off('exit', killAll)
    killAll()
    await kafka.stop()
    await rm(stateFile(cluster.dir), { force: true })
  }
  /** Sends a signal; resolves with the exit (code and signal where this process started it) when it is gone. */
  const end = async (name, how) => {
    const each = find(name)
    if (isRunning(each)) signal(each, how)
    const deadline = Date.now() + STOP_MS
    while (isRunning(each)) {
      if (Date.now() > deadline) throw new ClusterError(`${name} did not end within ${STOP_MS / 1000} s of ${how}`)
      await delay(20)
    }
    // Its handle does not keep this process alive, and the news of its exit may still be on the way.
    const alive = setInterval(() => {}, 1_000)
    return exits.get(name)?.finally(() => clearInterval(alive)) ?? clearInterval(alive)
  }

  const handle = {
    dir: cluster.dir,
    /** Where hits and queries go: the balancer, else the first collector. */
    url: (cluster.processes.find(({ name }) => name === 'balancer') ?? find('collector-1')).url,
    brokers: kafka.brokers,
    names,
    urlOf: (name) => find(name).url,
    pidOf: (name) => (brokerOf(name) ? kafka.nodes()[brokerOf(name) - 1].pid : find(name).pid),
    status: () => [
      ...kafka.nodes().map(({ id, port, pid, running }) => {
        return { name: `kafka-${id}`, url: `${HOST}:${port}`, pid, running }
      }),
      ...cluster.processes.map((each) => ({ name: each.name, url: each.url, pid: each.pid, running: isRunning(each) })),
    ],
    /** Everything that a part (no broker) has written so far. */
    logOf: (name) => readFile(join(cluster.dir, `${find(name).name}.log`), 'utf8'),
    kill: (name) => (brokerOf(name) ? kafka.kill(brokerOf(name)) : end(name, 'SIGKILL')),
    /** SIGTERM: a graceful stop of one part. */
    end: (name) => (brokerOf(name) ? kafka.kill(brokerOf(name)) : end(name, 'SIGTERM')),
    /** Starts a part (no broker) that has ended; does not wait until it is ready. */
    start: (name) => launch(find(name)),
    /** Starts a part again, killed before if it runs; resolves when it is ready. */
    async restart(name) {
      if (brokerOf(name)) return await kafka.restart(brokerOf(name))
      await end(name, 'SIGKILL')
      await launchAll([find(name)])
      if (detached) await saveState(cluster)
    },
    pause: (name) => (brokerOf(name) ? kafka.pause(brokerOf(name)) : signal(find(name), 'SIGSTOP')),
    resume: (name) => (brokerOf(name) ? kafka.resume(brokerOf(name)) : signal(find(name), 'SIGCONT')),
    /** Deletes a consumer group with its positions; false while it has members, or its coordinator is away. */
    deleteGroup: (group) => kafka.deleteGroup(group),
    /** Deletes a partition's records below an offset, as retention does. */
    deleteRecords: (topic, partition, before) => kafka.deleteRecords(topic, partition, before),
    /** Graceful, in the order of the flow; then ClickHouse and Kafka. The data stay. */
    async stop() {
      for (const each of cluster.processes) if (isRunning(each)) signal(each, 'SIGCONT')
      for (const kind of ['balancer', 'collector', 'enricher', 'aggregator', 'clickhouse']) {
        const parts = cluster.processes.filter(({ name }) => name.split('-')[0] === kind)
        // HAProxy takes SIGTERM as "at once"
        await Promise.all(parts.map(({ name }) => end(name, 'SIGTERM')))
      }
      await abort()
    },
  }
  return { public: handle, launchAll, abort }
}

function signal(each, name) {
  try {
    if (each.pid) process.kill(each.pid, name)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

/** Whether its process runs: that one, and not another that got the number after it. */
function isRunning({ pid, args }) {
  if (!pid) return false
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const line = commandLineOf(pid)
  // Without a command line: it has ended and nobody has asked for its exit code, or it has hardly begun.
  if (line === '') return !hasEnded(pid)
  return line === null || line.includes(args.at(-1))
}

/** What a process was started with, '' when it is gone or has none; null where the system does not tell. */
function commandLineOf(pid) {
  if (!existsSync('/proc/self/cmdline')) return null
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

function hasEnded(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(')') + 2))
  } catch {
    return true
  }
}

async function waitUntilReady(cluster, each) {
  const deadline = Date.now() + READY_MS
  for (;;) {
    const problem = await problemOf(each)
    if (problem === null) return
    if (!isRunning(each) || Date.now() > deadline) {
      const text = await readFile(join(cluster.dir, `${each.name}.log`), 'utf8')
      const lines = text.trim().split('\n').slice(-15).join('\n')
      throw new ClusterError(`${each.name} is not ready (${problem}); it wrote:\n${lines}`)
    }
    await delay(50)
  }
}

/** Why it is not ready; null = it is. */
async function problemOf({ url, readyPath }) {
  try {
    const answer = await fetch(url + readyPath, { signal: AbortSignal.timeout(3_000) })
    const text = await answer.text()
    return answer.ok ? null : text
  } catch (error) {
    return String(error.cause?.message ?? error.message)
  }
}

const delay = (ms) => new Promise((done) => setTimeout(done, ms))

const HELP = `The distributed shape on this machine, without Docker: three Kafka brokers, ClickHouse (the server of
MILLRACE_CLICKHOUSE_URL, else a stand-in with the same engine, for trying out only), two collectors behind HAProxy, two
enrichers, two aggregators. Needs Java 17, Maven once, and HAProxy (apt-get install haproxy).

  npm run cluster -- <command> [options]

  start           starts everything and waits until it is ready    --port 8700 (of the balancer; the others follow it)
                                                                   --brokers 1|3 (3), --without-balancer
  stop            stops everything, gracefully; the data stay      --remove (delete the data too)
  status          names, addresses and process ids
  kill NAME       kill -9 of one part, such as enricher-1 or kafka-2
  end NAME        stops one part gracefully
  restart NAME    starts it again with its data
  pause NAME      stops its clock (SIGSTOP)
  resume NAME     lets it go on (SIGCONT)

  --dir           folder of data and logs; default data/cluster
`

const DEFAULT_DIR = join(ROOT, 'data', 'cluster')
const OPTIONS = {
  port: { type: 'string', default: '8700' },
  brokers: { type: 'string', default: '3' },
  'without-balancer': { type: 'boolean', default: false },
  dir: { type: 'string', default: DEFAULT_DIR },
  remove: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
}

async function main() {
  const { values, positionals } = parseArgs({ allowPositionals: true, options: OPTIONS })
  const [command, name] = positionals
  if (values.help || !command) return console.log(HELP)
  if (command === 'start') return await startCommand(values)
  if (!Object.hasOwn(COMMANDS, command)) throw new ClusterError(`There is no command ${command}\n\n${HELP}`)
  const cluster = await findCluster(values)
  if (!cluster) throw new ClusterError(`No cluster is running in ${values.dir}; start one, or give its --dir`)
  await COMMANDS[command](cluster, name, values)
}

async function startCommand({ dir, port, brokers, 'without-balancer': withoutBalancer }) {
  const running = await findCluster({ dir })
  if (running) throw new ClusterError(`A cluster runs in ${dir} already; stop it first`)
  const { MILLRACE_CLICKHOUSE_URL: clickhouseUrl } = process.env
  const cluster = await startCluster({
    dir,
    basePort: Number(port),
    brokers: Number(brokers),
    balancer: !withoutBalancer,
    clickhouseUrl,
    sites: ['default'],
    detached: true,
  })
  printStatus(cluster)
  console.log(`
Hits and reports: ${cluster.url}     (millrace demo --url ${cluster.url} sends made-up visitors)
Logs are in ${cluster.dir}. Stop it with: npm run cluster -- stop${dir === DEFAULT_DIR ? '' : ` --dir ${dir}`}`)
}

function printStatus(cluster) {
  for (const { name, url, pid, running } of cluster.status()) {
    console.log(`${name.padEnd(14)}${url.padEnd(26)}${running ? `process ${pid}` : 'down'}`)
  }
}

const COMMANDS = {
  stop: async (cluster, _name, { remove, dir }) => {
    await cluster.stop()
    if (remove) await rm(dir, { recursive: true, force: true })
  },
  status: printStatus,
  kill: (cluster, name) => cluster.kill(name),
  end: (cluster, name) => cluster.end(name),
  restart: (cluster, name) => cluster.restart(name),
  pause: (cluster, name) => cluster.pause(name),
  resume: (cluster, name) => cluster.resume(name),
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    const plain = ['ClusterError', 'KafkaToolError'].includes(error.name) || error.code?.startsWith?.('ERR_PARSE_ARGS')
    console.error(plain ? error.message : error)
    process.exitCode = 1
  })
}
