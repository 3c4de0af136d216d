import { readCount, readMeasure } from './text.ts'

/** What a sender says of its screen. */
export interface Screen {
  /** CSS pixels, 0 = not told. */
  readonly width: number
  readonly height: number
  /** '' = no width. */
  readonly class: '' | 'xs' | 'sm' | 'md' | 'lg' | 'xl' | 'xxl'
  /** Device pixels of a CSS pixel, 0 = not told. */
  readonly pixelRatio: number
  /** How the device is held; '' = not known. */
  readonly orientation: '' | 'landscape' | 'portrait'
}

/** Nothing told. */
export const NO_SCREEN: Screen = { width: 0, height: 0, class: '', pixelRatio: 0, orientation: '' }
const MAX_PIXELS = 65_535
const MAX_RATIO = 100

/** Classes by the screen's width in CSS pixels: the class is the first whose limit is above it. */
export const SCREEN_CLASSES: readonly (readonly [name: Screen['class'], below: number])[] = [
  ['xs', 480],
  ['sm', 768],
  ['md', 1_024],
  ['lg', 1_440],
  ['xl', 1_920],
  ['xxl', Number.POSITIVE_INFINITY],
]

interface SentScreen {
  readonly screen_width?: unknown
  readonly screen_height?: unknown
  readonly viewport_width?: unknown
  readonly pixel_ratio?: unknown
}

/** The same few screens come again and again, by width and height; emptied when it is full. */
const known = new Map<number, Screen[]>()
const MAX_KNOWN = 5_000
const MAX_ALIKE = 16

/**
 * Reads what a hit says of its screen; nothing in `sent` is trusted to have the right type. `os` as in the agent. Most often
 * the same object for the same screen.
 */
export function readScreen(sent: SentScreen, os: string): Screen {
  const width = readCount(sent.screen_width, MAX_PIXELS)
  const height = readCount(sent.screen_height, MAX_PIXELS)
  const pixelRatio = readMeasure(sent.pixel_ratio, MAX_RATIO)
  const orientation = orientationOf(width, height, readCount(sent.viewport_width, MAX_PIXELS), os)
  const alike = known.get(width * (MAX_PIXELS + 1) + height)
  if (alike !== undefined) {
    for (const screen of alike)
      if (screen.pixelRatio === pixelRatio && screen.orientation === orientation) return screen
  }
  return remember({ width, height, class: classOf(width), pixelRatio, orientation })
}

function remember(screen: Screen): Screen {
  if (known.size >= MAX_KNOWN) known.clear()
  const key = screen.width * (MAX_PIXELS + 1) + screen.height
  const alike = known.get(key)
  // Zoom makes ratios of any kind: of one size only so many are remembered.
  if (alike === undefined || alike.length >= MAX_ALIKE) known.set(key, [screen])
  else alike.push(screen)
  return screen
}

function classOf(width: number): Screen['class'] {
  if (width === 0) return ''
  for (const [name, below] of SCREEN_CLASSES) if (width < below) return name
  return ''
}

/**
 * Screens turn with the device, except on iOS, where `screen` always stands upright
 * (https://developer.mozilla.org/en-US/docs/Web/API/Screen/width, WebKit bug 164643): there the viewport tells, if it is
 * between the two sides. A square screen has no orientation.
 */
function orientationOf(width: number, height: number, viewport: number, os: string): Screen['orientation'] {
  if (width === 0 || height === 0 || width === height) return ''
  if (os !== 'iOS') return width > height ? 'landscape' : 'portrait'
  const [short, long] = width < height ? [width, height] : [height, width]
  if (viewport === 0 || viewport > long) return ''
  return viewport > short ? 'landscape' : 'portrait'
}
