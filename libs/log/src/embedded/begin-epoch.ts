import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from './durable-file.ts'
import { makeTopicFolder } from './topic-files.ts'

/** Makes the folder of an embedded log that is new and begins with this epoch. @throws Error when there is a log already */
export function beginEpoch(dir: string, epoch: number): void {
  const path = join(dir, 'log.json')
  if (existsSync(path)) throw new Error(`${dir} holds a log already`)
  makeTopicFolder(dir)
  replaceFile(path, Buffer.from(`${JSON.stringify({ format: 1, epoch })}\n`))
}
