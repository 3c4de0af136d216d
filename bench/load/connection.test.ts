import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { Connection } from './connection.ts'

/** More than the buffers of both ends hold. */
const LARGE = 32 << 20
const ANSWER = 'HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\n{}'

let server: Server
let connection: Connection
const sockets: Socket[] = []
afterEach(() => {
  connection.close()
  for (const socket of sockets) socket.destroy()
  server.close()
})

/** What happens when so many bytes are sent to a server that answers before it reads. */
async function eventsOf(bytes: number, until: string): Promise<string[]> {
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => undefined)
    socket.pause()
    socket.write(ANSWER)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const events: string[] = []
  await new Promise<void>((resolve) => {
    const note = (event: string): void => {
      events.push(event)
      if (event === until) resolve()
    }
    connection = new Connection('127.0.0.1', (server.address() as AddressInfo).port, LARGE, {
      onReady: (ready) => {
        note('ready')
        ready.send(bytes)
      },
      onAnswer: (_, { status }) => note(`answer ${status}`),
      onLost: () => note('lost'),
    })
  })
  return events
}

test('a connection whose request is answered before all of it was sent is given up', async () => {
  // Else the next request would be written into what of this one still waits: hits of both in one body.
  expect(await eventsOf(LARGE, 'lost')).toEqual(['ready', 'lost'])
})

test('a connection whose request was sent goes on', async () => {
  expect(await eventsOf(100, 'answer 503')).toEqual(['ready', 'answer 503'])
})
