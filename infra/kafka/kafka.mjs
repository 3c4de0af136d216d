#!/usr/bin/env node
// Apache Kafka on loopback without Docker, for tests and for trying things out: `node infra/kafka/kafka.mjs --help`.
import { execFile, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { closeSync, openSync } from 'node:fs'
import { cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs, promisify } from 'node:util'

const run = promisify(execFile)
const HOST = '127.0.0.1'
const HERE = fileURLToPath(new URL('.', import.meta.url))
const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const POM = join(HERE, 'pom.xml')
const CACHE = join(ROOT, 'node_modules', '.cache', 'millrace-kafka')
const CLUSTER_ID = 'bWlsbHJhY2Uta2Fma2EtMQ'
const READY_MS = 180_000

/** Downloads and starts what the cluster needs; every message tells the user what to do. */
export class KafkaToolError extends Error {
  name = 'KafkaToolError'
}

/** Why no broker can be started on this machine, as a sentence, or null. Looks for Java 17 and, without jars in the cache, for Maven. */
export async function missingTools({ cache = CACHE } = {}) {
  try {
    const { stderr } = await run(javaCommand(), ['-version'])
    const major = Number(/version "(\d+)/.exec(stderr)?.[1] ?? 0)
    if (major < 17) return `Apache Kafka needs Java 17 or newer; ${javaCommand()} is version ${major}`
  } catch {
    return 'Apache Kafka needs Java 17 or newer, and no java was found (install a JRE, or set JAVA_HOME)'
  }
  if (await exists(await jarFolder(cache))) return null
  try {
    await run('mvn', ['-v'])
    return null
  } catch {
    return 'the broker is fetched by Maven, and no mvn was found (install Maven once; later starts do without)'
  }
}

/**
 * Starts a KRaft cluster of 1 or 3 nodes on loopback and resolves when every node answers for all of them.
 * A `dir` that holds a cluster already goes on with its data. `settings` are added to server.properties.
 */
export async function startKafka({ nodes = 1, dir, ports, settings = {}, cache = CACHE, detached = false } = {}) {
  if (nodes !== 1 && nodes !== 3) throw new KafkaToolError('A cluster has 1 or 3 nodes')
  if (!dir) throw new KafkaToolError('startKafka needs a folder (dir) for data and logs')
  const missing = await missingTools({ cache })
  if (missing) throw new KafkaToolError(`Cannot start a broker: ${missing}`)
  const jars = await ensureJars(cache)
  const cluster = await layOut({ nodes, dir: resolve(dir), ports, settings, cache, jars })
  for (const node of cluster.nodes) launch(cluster, node, detached)
  const killAll = () => {
    for (const node of cluster.nodes) signal(node, 'SIGKILL')
  }
  if (!detached) process.once('exit', killAll) // a test that ends in the middle leaves no broker behind
  try {
    await waitUntilReady(cluster)
    await saveState(cluster)
  } catch (error) {
    killAll()
    throw error
  }
  return handleOf(cluster, detached, killAll)
}

/** The cluster that a state file tells of, to stop, kill or restart its nodes from another process; null when there is none. */
export async function findKafka({ dir }) {
  try {
    const cluster = JSON.parse(await readFile(stateFile(resolve(dir)), 'utf8'))
    return handleOf(cluster, true, () => {
      for (const node of cluster.nodes) signal(node, 'SIGKILL')
    })
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

function handleOf(cluster, detached, killAll) {
  const find = (id) => {
    const node = cluster.nodes.find((candidate) => candidate.id === id)
    if (!node)
      throw new KafkaToolError(`There is no node ${id}; nodes are ${cluster.nodes.map((n) => n.id).join(', ')}`)
    return node
  }
  const kill = async (id = 1) => {
    signal(find(id), 'SIGKILL')
    await gone(find(id))
  }
  return {
    brokers: cluster.nodes.map((node) => `${HOST}:${node.port}`),
    nodes: () => cluster.nodes.map((node) => ({ ...node, running: isRunning(node) })),
    kill,
    /** Starts a killed (or running) node again with its data; resolves when it answers and knows all running nodes. */
    async restart(id = 1) {
      await kill(id)
      launch(cluster, find(id), detached)
      await waitUntilReady(cluster)
      await saveState(cluster)
    },
    pause: (id = 1) => signal(find(id), 'SIGSTOP'),
    resume: (id = 1) => signal(find(id), 'SIGCONT'),
    /** Deletes a consumer group with its positions; false while it has members, or its coordinator is away. */
    async deleteGroup(group) {
      for (const node of cluster.nodes.filter(isRunning)) {
        const code = await askToDelete(node.port, group).catch(() => NOT_COORDINATOR)
        if (code === DELETED || code === NO_SUCH_GROUP) return true
      }
      return false
    },
    /** Deletes a partition's records below an offset, as retention does. @throws KafkaToolError when no node does it */
    async deleteRecords(topic, partition, before) {
      const answers = []
      for (const node of cluster.nodes.filter(isRunning)) {
        const code = await askToDeleteRecords(node.port, topic, partition, before).catch(() => NOT_COORDINATOR)
        if (code === DELETED) return
        answers.push(`node ${node.id} answered ${code}`)
      }
      throw new KafkaToolError(`No record of ${topic}/${partition} was deleted: ${answers.join(', ')}`)
    },
    /** kill -9 of all: nodes that stop in order, one after another, wait for a quorum that never comes back. */
    async stop() {
      process.off('exit', killAll)
      killAll()
      await Promise.all(cluster.nodes.map(gone))
      await rm(stateFile(cluster.dir), { force: true })
    },
  }
}

const javaCommand = () => (process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin', 'java') : 'java')
const stateFile = (dir) => join(dir, 'kafka.json')
const exists = (path) =>
  stat(path).then(
    () => true,
    () => false,
  )

/** Named after the pom's content: another version of the broker is another folder. */
async function jarFolder(cache) {
  const pom = await readFile(POM)
  return join(cache, `jars-${createHash('sha256').update(pom).digest('hex').slice(0, 12)}`)
}

/** Downloads into a folder of its own and renames it: two starts at once do not see each other's half. */
async function ensureJars(cache) {
  const folder = await jarFolder(cache)
  if (await exists(folder)) return folder
  const partial = `${folder}.${process.pid}`
  await mkdir(partial, { recursive: true })
  const args = [
    '-q',
    '-B',
    '-f',
    POM,
    'dependency:copy-dependencies',
    '-DincludeScope=runtime',
    `-DoutputDirectory=${partial}`,
  ]
  try {
    await run('mvn', args)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    const why = String(error.stdout || error.stderr || error.message)
      .trim()
      .split('\n')
      .slice(0, 5)
      .join('\n')
    throw new KafkaToolError(`Maven could not fetch the broker (43 MB from Maven Central):\n${why}`)
  }
  await adopt(partial, folder)
  return folder
}

async function adopt(partial, folder) {
  try {
    await rename(partial, folder)
  } catch (error) {
    await rm(partial, { recursive: true, force: true })
    if (!(await exists(folder))) throw error
  }
}

async function layOut({ nodes, dir, ports, settings, cache, jars }) {
  const known = await readFile(join(dir, 'cluster.json'), 'utf8').then(JSON.parse, () => null)
  if (known && known.nodes.length !== nodes) {
    throw new KafkaToolError(
      `${dir} holds a cluster of ${known.nodes.length} nodes; start it so, or use another folder`,
    )
  }
  const list = known?.nodes ?? (await choosePorts(nodes, ports))
  const cluster = { dir, jars, settings, nodes: list.map((node, index) => ({ id: index + 1, ...node })) }
  for (const node of cluster.nodes) await assertFree(node)
  await mkdir(dir, { recursive: true })
  await Promise.all(cluster.nodes.map((node) => prepare(cluster, node, cache)))
  await writeFile(join(dir, 'cluster.json'), JSON.stringify({ nodes: cluster.nodes.map(({ pid, ...node }) => node) }))
  return cluster
}

/** `ports`: one per node; the controller of a node listens 1000 above. Without: ports that are free now. */
async function choosePorts(nodes, ports) {
  if (ports && ports.length !== nodes) throw new KafkaToolError(`Give ${nodes} port(s), one per node`)
  if (ports) return ports.map((port) => ({ port, controllerPort: port + 1000 }))
  const free = await freePorts(nodes * 2)
  return Array.from({ length: nodes }, (_, i) => ({ port: free[2 * i], controllerPort: free[2 * i + 1] }))
}

/** So many ports of loopback that are free now: all held at once, so that none is given out twice. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer())
  await Promise.all(
    servers.map((server) => new Promise((done, fail) => server.once('error', fail).listen(0, HOST, done))),
  )
  const ports = servers.map((server) => server.address().port)
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))))
  return ports
}

async function assertFree({ port, controllerPort }) {
  for (const wanted of [port, controllerPort]) {
    const server = createServer()
    await new Promise((done, fail) => {
      server.once('error', () => fail(new KafkaToolError(`Port ${wanted} is in use; choose another with --port`)))
      server.listen(wanted, HOST, done)
    })
    await new Promise((done) => server.close(done))
  }
}

const nodeDir = (cluster, node) => join(cluster.dir, `node-${node.id}`)

async function prepare(cluster, node, cache) {
  const folder = nodeDir(cluster, node)
  const data = join(folder, 'data')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'server.properties'), properties(cluster, node, data))
  if (!(await exists(data))) await cp(await ensureFormatted(cluster, node, cache), data, { recursive: true })
}

/** Formatting costs a JVM start (2.6 s) and its result depends on the node's id only: done once, then copied. */
async function ensureFormatted(cluster, node, cache) {
  const folder = join(cache, `formatted-${cluster.jars.slice(-12)}-${node.id}`)
  if (await exists(folder)) return folder
  const partial = `${folder}.${process.pid}`
  const config = `${partial}.properties`
  await mkdir(cache, { recursive: true })
  await rm(partial, { recursive: true, force: true })
  await writeFile(config, properties(cluster, node, partial))
  await run(javaCommand(), [...jvmFlags(cluster), 'kafka.tools.StorageTool', 'format', '-t', CLUSTER_ID, '-c', config])
  await rm(config)
  await adopt(partial, folder)
  return folder
}

/** The wildcard goes to java as one argument, unexpanded: no shell is involved. */
const jvmFlags = ({ jars }) => [
  '-cp', join(jars, '*'),
  '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xms64m', '-Xmx256m', '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
] // biome-ignore format: one flag group a line

function properties({ nodes, settings: own }, node, data) {
  const replicas = nodes.length
  const inSync = replicas === 3 ? 2 : 1
  const settings = {
    'process.roles': 'broker,controller',
    'node.id': node.id,
    'controller.quorum.voters': nodes.map((n) => `${n.id}@${HOST}:${n.controllerPort}`).join(','),
    listeners: `PLAINTEXT://${HOST}:${node.port},CONTROLLER://${HOST}:${node.controllerPort}`,
    'advertised.listeners': `PLAINTEXT://${HOST}:${node.port}`,
    'controller.listener.names': 'CONTROLLER',
    'listener.security.protocol.map': 'PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT',
    'log.dirs': data,
    'default.replication.factor': replicas,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': 1,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': 1,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSync,
    'share.coordinator.state.topic.num.partitions': 1,
    'auto.create.topics.enable': false,
    'unclean.leader.election.enable': false,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1000,
    'num.network.threads': 2,
    'num.io.threads': 2,
    'log.cleaner.dedupe.buffer.size': 4_194_304,
    // With the default of 9 s a killed node needs 11 s to come back: the controller waits for its old session to end.
    'broker.session.timeout.ms': replicas === 1 ? 1000 : 3000,
    'broker.heartbeat.interval.ms': replicas === 1 ? 200 : 500,
    ...(replicas > 1 && { 'controller.quorum.election.timeout.ms': 500, 'controller.quorum.fetch.timeout.ms': 1000 }),
    ...own,
  }
  return `${Object.entries(settings)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`
}

function launch(cluster, node, detached) {
  const folder = nodeDir(cluster, node)
  const log = openSync(join(folder, 'broker.log'), 'a')
  const child = spawn(javaCommand(), [...jvmFlags(cluster), 'kafka.Kafka', join(folder, 'server.properties')], {
    cwd: folder,
    detached,
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  child.unref()
  node.pid = child.pid
}

const saveState = (cluster) => writeFile(stateFile(cluster.dir), `${JSON.stringify(cluster, null, 2)}\n`)

function signal(node, name) {
  try {
    if (node.pid) process.kill(node.pid, name)
  } catch (error) {
    if (error.code !== 'ESRCH') throw error
  }
}

function isRunning(node) {
  try {
    return node.pid ? process.kill(node.pid, 0) : false
  } catch {
    return false
  }
}

async function gone(node) {
  while (isRunning(node)) await delay(20)
}

const delay = (ms) => new Promise((done) => setTimeout(done, ms))

/** Ready: every running node answers a Metadata request and names all running nodes, so that leaders can be had. */
async function waitUntilReady(cluster) {
  const deadline = Date.now() + READY_MS
  const waiting = new Set(cluster.nodes.filter(isRunning))
  const expected = waiting.size
  while (waiting.size > 0) {
    for (const node of waiting) {
      if (!isRunning(node))
        throw new KafkaToolError(`Node ${node.id} ended at its start:\n${await logEnd(cluster, node)}`)
      const known = await askBrokers(node.port).catch(() => 0)
      if (known >= expected) waiting.delete(node)
    }
    if (waiting.size > 0 && Date.now() > deadline) {
      const [node] = waiting
      throw new KafkaToolError(
        `Node ${node.id} is not ready after ${READY_MS / 1000} s:\n${await logEnd(cluster, node)}`,
      )
    }
    if (waiting.size > 0) await delay(50)
  }
}

async function logEnd(cluster, node) {
  const text = await readFile(join(nodeDir(cluster, node), 'broker.log'), 'utf8').catch(() => '')
  return text.trim().split('\n').slice(-15).join('\n')
}

/** Number of brokers that the node knows, by a Metadata request (version 1, no topics). */
async function askBrokers(port) {
  return (await ask(port, 3, 1, Buffer.alloc(4))).readInt32BE(0)
}

const DELETED = 0
const NOT_COORDINATOR = 16
const NO_SUCH_GROUP = 69
const DELETE_WITHIN_MS = 5_000

/** Why the group cannot be deleted by this node now, as an error code of Kafka's; 0 = done. By DeleteGroups, version 0. */
async function askToDelete(port, group) {
  const name = Buffer.from(group)
  const body = Buffer.alloc(6 + name.length)
  body.writeInt32BE(1, 0)
  body.writeInt16BE(name.length, 4)
  name.copy(body, 6)
  return (await ask(port, 42, 0, body)).readInt16BE(10 + name.length)
}

/** An error code of Kafka's; 0 = done. Only the leader of the partition does it. By DeleteRecords, version 1. */
async function askToDeleteRecords(port, topic, partition, before) {
  const name = Buffer.from(topic)
  const body = Buffer.alloc(26 + name.length)
  body.writeInt32BE(1, 0)
  body.writeInt16BE(name.length, 4)
  name.copy(body, 6)
  body.writeInt32BE(1, 6 + name.length)
  body.writeInt32BE(partition, 10 + name.length)
  body.writeBigInt64BE(BigInt(before), 14 + name.length)
  body.writeInt32BE(DELETE_WITHIN_MS, 22 + name.length)
  return (await ask(port, 21, 1, body)).readInt16BE(26 + name.length)
}

/** The answer to one request in Kafka's own protocol, without its length and correlation id. */
function ask(port, apiKey, version, body) {
  const head = Buffer.alloc(14)
  head.writeInt32BE(10 + body.length, 0) // length
  head.writeInt16BE(apiKey, 4)
  head.writeInt16BE(version, 6)
  head.writeInt32BE(1, 8) // correlation id
  head.writeInt16BE(-1, 12) // no client id
  return new Promise((done, fail) => {
    const socket = connect({ host: HOST, port, timeout: 1000 })
    let answer = Buffer.alloc(0)
    socket.on('connect', () => socket.write(Buffer.concat([head, body])))
    socket.on('data', (chunk) => {
      answer = Buffer.concat([answer, chunk])
      if (answer.length < 8 || answer.length < answer.readInt32BE(0) + 4) return
      socket.destroy()
      done(answer.subarray(8))
    })
    socket.on('timeout', () => socket.destroy(new Error('timeout')))
    socket.on('error', fail)
    socket.on('close', () => fail(new Error('closed')))
  })
}

const HELP = `Apache Kafka on loopback, without Docker (needs Java 17; Maven once, to fetch 43 MB).

  node infra/kafka/kafka.mjs <command> [options]

  start      start a cluster and wait until it is ready    --nodes 1|3 (1), --port 9092 (first port), --dir
  stop       end it at once (kill -9); the data stays      --dir, --remove (delete the data too)
  status     nodes, ports and process ids                  --dir
  kill       kill -9 of one node                           --node 2
  restart    start one node again with its data            --node 2
  pause      stop one node's clock (SIGSTOP)               --node 2
  resume     let it go on (SIGCONT)                        --node 2

  --dir      folder of the cluster's data and logs; default data/kafka
`

async function main() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      nodes: { type: 'string', default: '1' },
      node: { type: 'string', default: '1' },
      port: { type: 'string', default: '9092' },
      dir: { type: 'string', default: join(ROOT, 'data', 'kafka') },
      remove: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  const [command] = positionals
  if (values.help || !command) return console.log(HELP)
  if (command === 'start') return await startCommand(values)
  const act = COMMANDS[command]
  if (!act) throw new KafkaToolError(`There is no command ${command}\n\n${HELP}`)
  const cluster = await findKafka(values)
  if (!cluster) throw new KafkaToolError(`No cluster is running in ${values.dir}; start one, or give its --dir`)
  await act(cluster, Number(values.node), values)
}

async function startCommand({ nodes, port, dir }) {
  const running = await findKafka({ dir })
  if (running?.nodes().some((node) => node.running))
    throw new KafkaToolError(`A cluster runs in ${dir} already; stop it first`)
  const ports = Array.from({ length: Number(nodes) }, (_, i) => Number(port) + i)
  const cluster = await startKafka({ nodes: Number(nodes), dir, ports, detached: true })
  console.log(`Kafka is ready: MILLRACE_KAFKA_BROKERS=${cluster.brokers.join(',')}`)
}

const COMMANDS = {
  stop: async (cluster, _node, { dir, remove }) => {
    await cluster.stop()
    if (remove) await rm(dir, { recursive: true, force: true })
  },
  status: (cluster) => {
    for (const node of cluster.nodes()) {
      console.log(`node ${node.id}  ${HOST}:${node.port}  ${node.running ? `running, process ${node.pid}` : 'down'}`)
    }
  },
  kill: (cluster, node) => cluster.kill(node),
  restart: (cluster, node) => cluster.restart(node),
  pause: (cluster, node) => cluster.pause(node),
  resume: (cluster, node) => cluster.resume(node),
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  main().catch((error) => {
    console.error(error instanceof KafkaToolError || error.code?.startsWith?.('ERR_PARSE_ARGS') ? error.message : error)
    process.exitCode = 1
  })
}
