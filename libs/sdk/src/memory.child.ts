/** Run with a small heap: 120 MB of hits for a service that is away. Prints what became of them. */
import { createMillrace } from './create-millrace.ts'

const HITS = 60_000
let told = 0
const millrace = createMillrace({ url: 'http://127.0.0.1:1', onDrop: () => told++, backoffMinMs: 1, backoffMaxMs: 10 })
const title = 'x'.repeat(1_000)
for (let n = 0; n < HITS; n++) {
  millrace.pageView({ url: `https://example.com/${n}`, title, tags: { a: title.slice(0, 500), b: title.slice(500) } })
  // Now and then the loop turns, so that requests fail and hits are given back.
  if (n % 1_000 === 0) await new Promise((resolve) => setImmediate(resolve))
}
const { queued, queuedBytes, dropped, retries } = millrace.stats()
console.log(JSON.stringify({ hits: HITS, queued, queuedBytes, dropped: dropped.queue_full, told, tried: retries > 0 }))
