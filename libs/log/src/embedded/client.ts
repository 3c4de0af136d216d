import type { EventLog, LogAdmin, LogConsumer, LogProducer, LogReader } from '../event-log.ts'
import { EmbeddedAdmin } from './admin.ts'
import { EmbeddedConsumer } from './consumer.ts'
import { EmbeddedProducer } from './producer.ts'
import { EmbeddedReader } from './reader.ts'
import type { WriterClient } from './writer-client.ts'

/** The embedded log as one thread uses it. What it handed out is closed with it. */
export class EmbeddedLogClient implements EventLog {
  protected readonly client: WriterClient
  readonly #parts = new Set<{ close(): Promise<void> }>()
  #closing: Promise<void> | null = null

  constructor(client: WriterClient) {
    this.client = client
  }

  producer(): LogProducer {
    return this.#keep(new EmbeddedProducer(this.client))
  }
  consumer(group: string): LogConsumer {
    return this.#keep(new EmbeddedConsumer(this.client, group))
  }
  reader(): LogReader {
    return this.#keep(new EmbeddedReader(this.client))
  }
  admin(): LogAdmin {
    return new EmbeddedAdmin(this.client)
  }
  epoch(): Promise<number> {
    return this.client.epoch()
  }

  #keep<Part extends { close(): Promise<void> }>(part: Part): Part {
    this.#parts.add(part)
    const close = part.close.bind(part)
    part.close = () => {
      this.#parts.delete(part)
      return close()
    }
    return part
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await Promise.allSettled([...this.#parts].map((part) => part.close()))
    await this.disconnect()
  }

  protected async disconnect(): Promise<void> {
    this.client.close()
  }
}
