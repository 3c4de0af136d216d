import { parentPort, workerData } from 'node:worker_threads'
import type { SpoolAnswer, SpoolQuestion } from './spool-disk.ts'
import { SpoolFiles, type SpoolFilesOptions } from './spool-files.ts'

/** Entry of the spool's thread: says what it found, then answers questions one after another. */
const port = parentPort!
const files = new SpoolFiles(workerData as SpoolFilesOptions)
port.postMessage(files.found)
port.on('message', (question: SpoolQuestion) => {
  try {
    answer(question)
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    port.postMessage({ id: question.id, bytes: files.bytes, error: { message, code } } satisfies SpoolAnswer)
  }
})

function answer(question: SpoolQuestion): void {
  const { id } = question
  if (question.kind === 'read') {
    const read = files.read(question.place)
    const transfer = read ? [read.bytes.buffer as ArrayBuffer] : []
    port.postMessage({ id, bytes: files.bytes, read } satisfies SpoolAnswer, transfer)
    return
  }
  if (question.kind === 'append') files.append(asBuffer(question.frames))
  else if (question.kind === 'drop') files.drop(question.place, question.all)
  else if (question.kind === 'try') files.tryOut()
  else files.close()
  port.postMessage({ id, bytes: files.bytes } satisfies SpoolAnswer)
  if (question.kind === 'close') port.close()
}

const asBuffer = ({ buffer, byteOffset, length }: Uint8Array): Buffer => Buffer.from(buffer, byteOffset, length)
