import type { FastifyReply } from '@millrace/server'
import { MillraceError } from '@millrace/shared'

/** Streams that one process holds open. */
const MAX_STREAMS = 200

/** Server-sent events: who asks the same gets the same answer, made once for all of them. */
export class EventStreams {
  readonly #topics = new Map<string, Topic>()
  #open = 0

  /** @throws MillraceError overloaded */
  open(reply: FastifyReply, key: string, everyMs: number, make: () => Promise<object>): FastifyReply {
    if (this.#open >= MAX_STREAMS) throw new MillraceError('overloaded', 'Too many streams are open.')
    const topic = this.#topics.get(key) ?? new Topic(everyMs, make)
    this.#topics.set(key, topic)
    this.#open++
    reply.hijack()
    const { raw } = reply
    const headers = { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-store' }
    raw.writeHead(200, { ...headers, 'x-accel-buffering': 'no' })
    const send = (text: string): void => void raw.write(text)
    topic.add(send, () => raw.end())
    raw.once('close', () => {
      this.#open--
      if (topic.remove(send)) this.#topics.delete(key)
    })
    return reply
  }

  /** Ends all streams. */
  close(): void {
    for (const topic of this.#topics.values()) topic.end()
    this.#topics.clear()
  }
}

class Topic {
  readonly #readers = new Map<(text: string) => void, () => void>()
  readonly #make: () => Promise<object>
  readonly #timer: NodeJS.Timeout
  #last = ''
  #busy = false

  constructor(everyMs: number, make: () => Promise<object>) {
    this.#make = make
    this.#timer = setInterval(() => void this.#tell(), everyMs).unref()
    void this.#tell()
  }

  add(send: (text: string) => void, end: () => void): void {
    this.#readers.set(send, end)
    if (this.#last !== '') send(this.#last)
  }

  /** Whether it was the last one. */
  remove(send: (text: string) => void): boolean {
    this.#readers.delete(send)
    if (this.#readers.size > 0) return false
    clearInterval(this.#timer)
    return true
  }

  end(): void {
    clearInterval(this.#timer)
    for (const end of this.#readers.values()) end()
  }

  /** A failure is told as an event too: the next one may succeed. */
  async #tell(): Promise<void> {
    if (this.#busy) return
    this.#busy = true
    this.#last = await this.#make().then(
      (answer) => `event: realtime\ndata: ${JSON.stringify(answer)}\n\n`,
      (error: unknown) => {
        const { code, message } = error instanceof MillraceError ? error : { code: 'internal', message: 'It failed.' }
        return `event: problem\ndata: ${JSON.stringify({ code, detail: message })}\n\n`
      },
    )
    this.#busy = false
    for (const send of this.#readers.keys()) send(this.#last)
  }
}
