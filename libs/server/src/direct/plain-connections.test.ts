import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createLogger } from '../create-logger.ts'
import { createServer, type Server } from '../create-server.ts'
import { ECHO } from './echo.fixture.ts'

const LAST = 'POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nConnection: close\r\n\r\nlast'
/** With it a connection is node's from its first byte on. */
const TO_NODE = 'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n'

const post = (body: string, headers = ''): string =>
  `POST /fast HTTP/1.1\r\nHost: a\r\nContent-Length: ${Buffer.byteLength(body)}\r\n${headers}\r\n${body}`

let server: Server
let port: number
let opened: Socket[]
/** Told how to answer a request to /held. */
let onHeld: (reply: () => void) => void
beforeEach(async () => {
  server = createServer({ host: '127.0.0.1', port: 0, name: 'test', logger: createLogger('silent', 'test') })
  server.direct.add('POST', '/fast', ECHO)
  server.direct.add('POST', '/held', { ...ECHO, take: (request, reply) => onHeld(() => ECHO.take(request, reply)) })
  port = Number(new URL(await server.listen()).port)
  opened = []
})
afterEach(async () => {
  for (const socket of opened) socket.destroy()
  await server.close()
})

const open = (): Socket => {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => undefined)
  opened.push(socket)
  return socket
}

/** Everything that comes until the server closes the connection. */
function untilClosed(socket: Socket): Promise<string> {
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  return new Promise((done) => socket.on('close', () => done(Buffer.concat(chunks).toString())))
}

/** Resolves when `count` answers have come. */
function answers(socket: Socket, count: number): Promise<string> {
  let text = ''
  return new Promise((done) =>
    socket.on('data', (chunk: Buffer) => {
      text += chunk
      if (text.split('HTTP/1.1 ').length > count) done(text)
    }),
  )
}

/** Sends pieces one by one, each in a packet of its own as far as that can be had. */
async function sendPieces(socket: Socket, pieces: readonly Buffer[]): Promise<void> {
  for (const piece of pieces) {
    await new Promise((done) => socket.write(piece, done))
    await new Promise((done) => setTimeout(done, 1))
  }
}

const answersIn = (text: string): string[] =>
  text
    .replaceAll(/date: .*\r\n/gi, '')
    .split(/(?=HTTP\/1\.1 \d{3} )/)
    .map((answer) => answer.toLowerCase())

/** Requests as they should be, and as they should not. */
const requestArb = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.constantFrom('', 'x', 'wait', '{"é":1}', 'GET / HTTP/1.1\r\n\r\n').map((body) => post(body)),
  },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom('DNT: 1\r\n', 'A:\r\n', 'B: \t b \t\r\n', 'Keep-Alive: 5\r\n')
      .map((line) => post('abc', line)),
  },
  fc.constantFrom(
    post('', 'Connection: keep-alive\r\n'),
    post('abc', 'DNT: 1\r\ndnt: 2\r\n'),
    post('abc', 'Cookie: a\r\nCookie: b\r\n'),
    post('abc', 'Content-Length: 3\r\n'),
    post('abc', 'Content-Length: 4\r\n'),
    post('abc', 'Transfer-Encoding: chunked\r\n'),
    post('abc', 'No colon\r\n'),
    post('abc', 'A : b\r\n'),
    post('abc', 'A: 1\nB: 2\r\n'),
    post('abc', 'A: 1\0\r\n'),
    post('abc', '__proto__: 1\r\n'),
    post('abc', 'Expect: 100-continue\r\n'),
    post('abc').replace('Host: a\r\n', ''),
    post('abc').replace('/fast', '/fast?x'),
    post('abc').replace('/fast', '/slow'),
    post('abc').replace('POST', 'PUT'),
    post('abc').replace('Length: 3', 'Length: 2'),
    post('x'.repeat(1_001)),
    `POST /fast HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
    'GET /livez HTTP/1.1\r\nHost: a\r\n\r\n',
    '\r\n',
  ),
)

describe('a connection', () => {
  it('it answers as node does, whatever comes and in whatever pieces', { timeout: 120_000 }, async () => {
    const cases = fc.record({
      requests: fc.array(requestArb, { maxLength: 4 }),
      cuts: fc.array(fc.nat(600), { maxLength: 3 }),
    })
    await fc.assert(
      fc.asyncProperty(cases, async ({ requests, cuts }) => {
        const bytes = Buffer.from(requests.join('') + LAST)
        const places = [0, ...cuts.filter((cut) => cut > 0 && cut < bytes.length).sort((a, b) => a - b), bytes.length]
        const pieces = places.slice(1).map((end, i) => bytes.subarray(places[i], end))
        const [own, nodes] = [open(), open()]
        const both = Promise.all([untilClosed(own), untilClosed(nodes)])
        await Promise.all([sendPieces(own, pieces), sendPieces(nodes, [Buffer.from(TO_NODE), ...pieces])])
        const [ours, theirs] = await both
        // The first answer of the second is the one to TO_NODE.
        const behind = theirs.indexOf('HTTP/1.1 ', 1)
        const expected = answersIn(behind < 0 ? '' : theirs.slice(behind))
        const found = answersIn(ours)
        // With bytes that are not HTTP node gives up answers that it has not written yet.
        if (theirs.includes('request_invalid')) expect(found.at(-1)).toBe(expected.at(-1))
        else expect(found).toEqual(expected)
      }),
      { numRuns: 200 },
    )
  })

  it('it waits for the rest of a body, and leaves what does not come to node and its limits', async () => {
    const socket = open()
    const [first, all] = [answers(socket, 1), answers(socket, 2)]
    await sendPieces(socket, [Buffer.from(post('abc').slice(0, -1))])
    await sendPieces(socket, [Buffer.from('c')])
    expect(await first).toContain('"body":"abc"')
    const [head, rest] = [post('defg').slice(0, -2), 'fg']
    await sendPieces(socket, [Buffer.from(head)])
    await new Promise((done) => setTimeout(done, 1_500))
    await sendPieces(socket, [Buffer.from(rest)])
    expect(await all).toContain('"body":"defg"')
  })

  it('it lets a sender who has said all that it has to say read its answers', async () => {
    const socket = open()
    const read = untilClosed(socket)
    socket.end(post('wait') + post('more'))
    expect(await read).toContain('"body":"wait"')
  })

  it.each([
    ['before a request is whole', post('abc').slice(0, -1)],
    ['in the middle of a head', 'POST /fast HTTP/1.1\r\nHo'],
    ['behind an answered request and half a second one', post('wait') + post('abc').slice(0, -1)],
    ['behind an answered request and what is no request', `${post('wait')}nothing`],
    ['before anything', ''],
  ])('it survives a sender who ends %s', async (_, text) => {
    const socket = open()
    const read = untilClosed(socket)
    socket.end(text)
    expect((await read).includes('"body":"wait"')).toBe(text.includes('wait'))
    const next = open()
    const answered = answers(next, 1)
    next.write(post('x'))
    expect(await answered).toContain('"body":"x"')
  })

  it('it reads no further while answers are not read', async () => {
    const socket = open()
    socket.pause()
    const chunk = Buffer.from(post('x'.repeat(900)).repeat(200))
    let sent = 0
    while (sent < 400 && (socket.write(chunk) || (await drained(socket)))) sent++
    expect(sent).toBeLessThan(400)
    const text = answers(socket, 1_000)
    socket.resume()
    await text
  })

  it('it is closed with the server when idle, and behind its answer when not', async () => {
    const [idle, busy] = [open(), open()]
    const answered = answers(idle, 1)
    idle.write(post('x'))
    await answered
    const closed = untilClosed(idle)
    const text = untilClosed(busy)
    const reply = await new Promise<() => void>((taken) => {
      onHeld = taken
      busy.write(post('x').replace('/fast', '/held'))
    })
    const isClosed = server.close()
    await closed
    reply()
    await isClosed
    expect(await text).toMatch(/^HTTP\/1\.1 202 .*connection: close/s)
  })
})

/** Whether there is room again within a while. */
const drained = (socket: Socket): Promise<boolean> =>
  Promise.race([
    new Promise<boolean>((done) => socket.once('drain', () => done(true))),
    new Promise<boolean>((done) => setTimeout(() => done(false), 500)),
  ])
