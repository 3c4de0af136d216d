import { parentPort, workerData } from 'node:worker_threads'
import type { WriterStart } from './protocol.ts'
import { Writer } from './writer.ts'

/** Entry of the writer thread: says whether the folder could be opened, then serves until it is told to close. */
const start = workerData as WriterStart
try {
  const writer = new Writer(start)
  writer.serve(start.port)
  parentPort!.postMessage(null)
} catch (error) {
  parentPort!.postMessage(error instanceof Error ? error.message : String(error))
  start.port.close()
}
