/** The least that a server on node:http can do with a hit: read it and answer 202. What other figures of a run are compared with. */
import { createServer } from 'node:http'

const ANSWER = '{"accepted":1}'

const server = createServer((request, response) => {
  request.on('data', () => undefined)
  request.on('end', () => {
    response.writeHead(202, { 'content-type': 'application/json', 'content-length': ANSWER.length })
    response.end(ANSWER)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  if (address !== null && typeof address === 'object') process.send!({ port: address.port })
})
