// node --test infra/kafka/kafka.test.mjs
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { findKafka, missingTools, startKafka } from './kafka.mjs'

const TOOL = fileURLToPath(new URL('kafka.mjs', import.meta.url))
const missing = await missingTools()
const skip = missing && !process.env.CI ? missing : false
const root = mkdtempSync(join(tmpdir(), 'millrace-kafka-tool-'))
after(() => rmSync(root, { recursive: true, force: true }))

/** What the command says and how it ends. */
function tool(args, env = process.env) {
  return new Promise((done) => {
    execFile(process.execPath, [TOOL, ...args], { env }, (error, stdout, stderr) =>
      done({ code: error?.code ?? 0, stdout, stderr }),
    )
  })
}

const answers = (port) =>
  new Promise((done) => {
    const socket = connect({ host: '127.0.0.1', port })
    socket.on('connect', () => socket.destroy())
    socket.on('close', (failed) => done(!failed))
    socket.on('error', () => {})
  })

test('a node is killed, restarted with its data, paused, and ended', { skip }, async () => {
  const dir = join(root, 'one')
  const kafka = await startKafka({ dir })
  const [node] = kafka.nodes()
  assert.deepEqual(kafka.brokers, [`127.0.0.1:${node.port}`])
  assert.equal(await answers(node.port), true)

  await kafka.kill()
  assert.equal(kafka.nodes()[0].running, false)
  assert.equal(await answers(node.port), false)

  await kafka.restart()
  assert.equal(kafka.nodes()[0].running, true)
  assert.equal(kafka.nodes()[0].port, node.port)
  assert.notEqual(kafka.nodes()[0].pid, node.pid)

  kafka.pause()
  kafka.resume()
  await kafka.stop()
  assert.equal(await answers(node.port), false)
  assert.equal(existsSync(join(dir, 'node-1', 'data', 'meta.properties')), true, 'the data stays')
  assert.equal(await findKafka({ dir }), null)
})

test('the command starts a cluster that outlives it, tells of it and ends it', { skip }, async () => {
  const dir = join(root, 'command')
  const port = await freePort()
  const started = await tool(['start', '--dir', dir, '--port', String(port)])
  try {
    assert.equal(started.code, 0, started.stderr)
    assert.match(started.stdout, new RegExp(`MILLRACE_KAFKA_BROKERS=127\\.0\\.0\\.1:${port}`))
    assert.match((await tool(['status', '--dir', dir])).stdout, /node 1 .* running, process \d+/)
    assert.match((await tool(['start', '--dir', dir])).stderr, /already/)
    await tool(['kill', '--dir', dir])
    assert.match((await tool(['status', '--dir', dir])).stdout, /down/)
    assert.match((await tool(['kill', '--dir', dir, '--node', '3'])).stderr, /There is no node 3/)
  } finally {
    assert.equal((await tool(['stop', '--dir', dir, '--remove'])).code, 0)
  }
  assert.equal(existsSync(dir), false)
})

test('mistakes are said in a sentence, with exit code 1', { skip }, async () => {
  const server = createServer()
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const taken = String(server.address().port)
  const cases = [
    [['start', '--nodes', '2', '--dir', join(root, 'two')], /1 or 3 nodes/],
    [['start', '--port', taken, '--dir', join(root, 'taken')], /in use/],
    [['stop', '--dir', join(root, 'nothing')], /No cluster is running/],
    [['fly'], /There is no command fly/],
    [['start', '--unknown'], /--unknown/],
  ]
  for (const [args, expected] of cases) {
    const { code, stderr } = await tool(args)
    assert.equal(code, 1, args.join(' '))
    assert.match(stderr, expected)
    assert.doesNotMatch(stderr, /\n\s+at /, 'no stack')
  }
  server.close()
})

test('a machine without Java is told what to install', async () => {
  const { code, stderr } = await tool(['start', '--dir', join(root, 'bare')], { PATH: '' })
  assert.equal(code, 1)
  assert.match(stderr, /needs Java 17/)
})

test('help names every command', async () => {
  const { code, stdout } = await tool(['--help'])
  assert.equal(code, 0)
  for (const command of ['start', 'stop', 'status', 'kill', 'restart', 'pause', 'resume'])
    assert.match(stdout, new RegExp(`^ {2}${command} `, 'm'))
})

async function freePort() {
  const server = createServer()
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  await new Promise((done) => server.close(done))
  return port > 64_000 ? port - 2_000 : port
}
