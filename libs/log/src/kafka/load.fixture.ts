import { AppendInDoubt, type EventLog, type LogProducer } from '../event-log.ts'

export const PARTITIONS = 4
export const record = (value: string | number) => ({ value: Buffer.from(String(value)) })

export async function valuesOf(log: EventLog, topic: string, partition: number): Promise<string[]> {
  const values: string[] = []
  for await (const batch of log.reader().read(topic, partition, 0, Number.MAX_SAFE_INTEGER))
    values.push(...batch.map(({ value }) => value!.toString()))
  return values
}

/** Numbers from 0 on to every partition, one append after another, until `isOver`; in doubt means again. */
export async function appendNumbers(
  producer: LogProducer,
  topic: string,
  isOver: (sent: number) => boolean,
): Promise<number> {
  let sent = 0
  while (!isOver(sent)) {
    const batch = new Map(Array.from({ length: PARTITIONS }, (_, partition) => [partition, [record(sent)]]))
    try {
      await producer.append(topic, batch)
      sent++
    } catch (error) {
      if (!(error instanceof AppendInDoubt)) throw error
    }
  }
  return sent
}

export const firstOccurrences = (values: readonly string[]): string[] => [...new Set(values)]
export const numbers = (count: number): string[] => Array.from({ length: count }, (_, i) => String(i))
