import { describe, expect, it } from 'vitest'
import { Watchdog } from './watchdog.ts'

describe('Watchdog', () => {
  it.each<[string, (string | null)[], string[]]>([
    ['barks when nothing moves for as many looks as it has patience', ['a', 'a', 'a'], ['a']],
    ['stays quiet while something moves', ['a', 'a', 'b', 'b', 'a', 'a'], []],
    ['stays quiet while nothing is under way', [null, null, null, null], []],
    ['counts anew after a pause in which nothing was under way', ['a', 'a', null, 'a', 'a'], []],
  ])('%s', (_title, seen, expected) => {
    const barks: string[] = []
    const steps = [...seen]
    const dog = new Watchdog({ progress: () => steps.shift()!, onStuck: (progress) => barks.push(progress) }, 3)
    for (const _ of seen) dog.look()
    expect(barks).toEqual(expected)
  })
})
