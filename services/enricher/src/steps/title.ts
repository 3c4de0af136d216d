import { maskText } from './mask.ts'
import { Remembered } from './remembered.ts'
import { MAX_TITLE, readText } from './text.ts'

/** Most visitors see the same pages, and their sessions keep the titles: they keep one text of them. */
const titles = { masked: new Remembered<string>(10_000), plain: new Remembered<string>(10_000) }
const MAX_REMEMBERED_TITLE = 256

/** The title of a page, at most 1,024 units; with `mask`, e-mail addresses and card numbers in it are masked. */
export function readTitle(title: unknown, mask: boolean): string {
  if (typeof title !== 'string' || title === '') return ''
  const remembered = mask ? titles.masked : titles.plain
  const known = remembered.get(title)
  if (known !== undefined) return known
  const text = readText(title, MAX_TITLE)
  const kept = mask ? maskText(text) : text
  if (title.length <= MAX_REMEMBERED_TITLE) remembered.set(title, kept)
  return kept
}
