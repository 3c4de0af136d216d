import { createRequire } from 'node:module'
import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createKafka } from './client.ts'
import { type Connection, connectionClass } from './fresh-connection.ts'

interface OpenConnection extends Connection {
  send(exchange: object): Promise<Buffer>
}

const SILENT = { debug() {}, warn() {} }
const quiet = { namespace: () => quiet, debug() {}, info() {}, warn() {}, error() {} }
const Encoder = createRequire(import.meta.url)('kafkajs/src/protocol/encoder.js') as new () => object
const REQUEST = { apiKey: 3, apiName: 'Metadata', apiVersion: 0, encode: async () => new Encoder() }
const EXCHANGE = {
  request: REQUEST,
  response: {
    decode: async (payload: Buffer) => ({ payload }),
    parse: async (answer: { payload: Buffer }) => answer.payload,
  },
}

/** A broker that does with the n-th connection's requests what the n-th of `manners` says, and the client's connection to it. */
async function connectTo(...manners: ((socket: Socket, correlationId: Buffer) => void)[]): Promise<OpenConnection> {
  createKafka({ brokers: ['127.0.0.1:1'], logger: SILENT }) // where the guards are put in
  const server = createServer((socket) => {
    const behave = manners.shift()!
    socket.on('data', (request) => behave(socket, request.subarray(8, 12)))
    socket.on('error', () => {})
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const { port } = server.address() as { port: number }
  const Class = connectionClass() as unknown as new (options: object) => OpenConnection
  const connection = new Class({
    ...{ host: '127.0.0.1', port, logger: quiet, requestTimeout: 5_000, connectionTimeout: 60_000 },
    socketFactory: ({ onConnect }: { onConnect: () => void }) => connect({ host: '127.0.0.1', port }, onConnect),
  })
  onTestFinished(async () => {
    await connection.disconnect()
    server.close()
  })
  await connection.connect()
  return connection
}

const answer = (correlationId: Buffer, text: string): Buffer => {
  const size = Buffer.alloc(4)
  size.writeInt32BE(4 + text.length)
  return Buffer.concat([size, correlationId, Buffer.from(text)])
}

describe('freshenConnections', () => {
  it('forgets the half of an answer when it connects again', async () => {
    const connection = await connectTo(
      (socket, id) => socket.end(answer(id, 'an answer').subarray(0, 10)),
      (socket, id) => socket.write(answer(id, 'the next')),
    )
    await expect(connection.send(EXCHANGE)).rejects.toThrow('Closed connection')
    while (connection.isConnected()) await new Promise(setImmediate)
    await connection.connect()
    expect((await connection.send(EXCHANGE)).toString()).toBe('the next')
  })
})
