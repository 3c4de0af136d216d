import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type FilledStore, openFilledStore } from './filled-store.fixture.ts'
import { fitsPath } from './path-pattern.ts'
import { createBinder } from './statement.ts'

const PATHS = ['/', '/docs', '/docs/', '/docs/a', '/docs/a/b', '/docs/a\nb', '/Docs/a', '/a.b', '/axb', '/%', '/**']

let filled: FilledStore
beforeAll(async () => {
  filled = await openFilledStore([])
})
afterAll(() => filled?.close())

describe('a pattern of paths', () => {
  test.each([
    ['/', ['/']],
    ['/docs', ['/docs']],
    ['/docs/*', ['/docs/', '/docs/a', '/docs/a\nb']],
    ['/docs/**', ['/docs/', '/docs/a', '/docs/a/b', '/docs/a\nb']],
    ['/docs**', ['/docs', '/docs/', '/docs/a', '/docs/a/b', '/docs/a\nb']],
    ['/docs/***', ['/docs/', '/docs/a', '/docs/a/b', '/docs/a\nb']],
    ['**/a', ['/docs/a', '/Docs/a']],
    ['/*/a/**', ['/docs/a/b']],
    ['/*cs/**', ['/docs/', '/docs/a', '/docs/a/b', '/docs/a\nb', '/Docs/a']],
    ['/a.b', ['/a.b']],
    ['/a.*', ['/a.b']],
    ['/%', ['/%']],
    ['**', PATHS],
  ])('fits %s: %j', async (pattern, expected) => {
    const binder = createBinder()
    const sql = `SELECT path FROM (SELECT arrayJoin({paths:Array(String)}) AS path) WHERE ${fitsPath(pattern, binder)}`
    const rows = await filled.store.query<{ path: string }>(sql, { params: { ...binder.params, paths: PATHS } })
    expect(rows.map(({ path }) => path)).toEqual(expected)
  })
})
