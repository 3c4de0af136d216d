import { parentPort, workerData } from 'node:worker_threads'
import { attachEmbeddedLog } from './open.ts'

/** A thread of `open.test.ts`: appends through its own line, tells the offsets, and stays until it is ended. */
const { port, topic, name, count } = workerData
const log = attachEmbeddedLog({ port })
const producer = log.producer()
const offsets: number[] = []
for (let i = 0; i < count; i++) {
  const base = await producer.append(topic, new Map([[0, [{ value: Buffer.from(`${name}/${i}`) }]]]))
  offsets.push(base.get(0)!)
}
const consumer = log.consumer(name)
await consumer.run([topic], { onAssigned: async () => {}, onBatch: async () => {}, onLost: async () => {} })
parentPort!.postMessage(offsets)
