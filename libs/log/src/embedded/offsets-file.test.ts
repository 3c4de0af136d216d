import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { OffsetsFile } from './offsets-file.ts'
import { removeTemporaryFolders, temporaryFolder } from './topic-log.fixture.ts'

const position = (partition: number, offset: number) => ({ topic: 't', partition, offset, metadata: `m${offset}` })

afterAll(removeTemporaryFolders)

describe('the offsets file', () => {
  it('holds the last commit of every partition, for each group', () => {
    const path = join(temporaryFolder(), 'offsets')
    const file = new OffsetsFile(path)
    file.commit([{ group: 'g', positions: [position(0, 1), position(1, 2)] }])
    file.commit([
      { group: 'g', positions: [position(1, 5)] },
      { group: 'h', positions: [position(0, 9)] },
    ])
    for (const each of [file, new OffsetsFile(path)]) {
      expect([...each.committed('g', 't')]).toEqual([
        [0, { offset: 1, metadata: 'm1' }],
        [1, { offset: 5, metadata: 'm5' }],
      ])
      expect(each.committed('h', 't').size).toBe(1)
      expect(each.committed('g', 'other').size).toBe(0)
    }
  })

  it.each([
    ['cut off', (path: string) => truncateSync(path, 12)],
    ['empty', (path: string) => truncateSync(path, 0)],
    ['changed', (path: string) => writeFileSync(path, readFileSync(path, 'utf8').replace('m1', 'm2'))],
  ])('is refused when it is %s: positions are never forgotten silently', (_title, damage) => {
    const path = join(temporaryFolder(), 'offsets')
    new OffsetsFile(path).commit([{ group: 'g', positions: [position(0, 1)] }])
    damage(path)
    expect(() => new OffsetsFile(path)).toThrow('damaged')
  })
})
