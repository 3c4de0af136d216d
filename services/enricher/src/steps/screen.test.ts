import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readScreen, SCREEN_CLASSES } from './screen.ts'

describe('readScreen', () => {
  it.each([
    [320, 'xs'],
    [479, 'xs'],
    [480, 'sm'],
    [768, 'md'],
    [1024, 'lg'],
    [1440, 'xl'],
    [1920, 'xxl'],
    [7680, 'xxl'],
    [0, ''],
    [-5, ''],
    ['1920', ''],
  ])('is of a width of %j of class %j', (screen_width, expected) => {
    expect(readScreen({ screen_width }, 'Windows').class).toBe(expected)
  })

  it.each([
    ['a desktop', 1920, 1080, undefined, 'Windows', 'landscape'],
    ['a screen that was turned', 1080, 1920, undefined, 'Windows', 'portrait'],
    ['a phone', 412, 915, 412, 'Android', 'portrait'],
    ['a phone held across', 915, 412, 915, 'Android', 'landscape'],
    ['an iPhone', 390, 844, 390, 'iOS', 'portrait'],
    ['an iPhone held across, beside the notch', 390, 844, 750, 'iOS', 'landscape'],
    ['an iPhone with a page wider than its screen', 390, 844, 980, 'iOS', ''],
    ['an iPhone that does not tell its viewport', 390, 844, undefined, 'iOS', ''],
    ['a square', 1024, 1024, 1024, 'Windows', ''],
    ['no height', 1024, 0, 1024, 'Windows', ''],
    ['nothing', undefined, undefined, undefined, '', ''],
  ])('knows the orientation of %s', (_, screen_width, screen_height, viewport_width, os, expected) => {
    expect(readScreen({ screen_width, screen_height, viewport_width }, os).orientation).toBe(expected)
  })

  it('never throws, tells the same of the same, and stays in the range of its columns', () => {
    const value = fc.oneof(fc.double(), fc.integer(), fc.string(), fc.constant(null), fc.constant(undefined))
    const sent = fc.record({ screen_width: value, screen_height: value, viewport_width: value, pixel_ratio: value })
    fc.assert(
      fc.property(sent, fc.constantFrom('iOS', 'Android', ''), (hit, os) => {
        const screen = readScreen(hit, os)
        expect(readScreen(hit, os)).toEqual(screen)
        for (const side of [screen.width, screen.height]) expect(side >= 0 && side <= 65_535).toBe(true)
        expect(screen.pixelRatio >= 0 && screen.pixelRatio <= 100).toBe(true)
        expect(['', ...SCREEN_CLASSES.map(([name]) => name)]).toContain(screen.class)
      }),
    )
  })
})
