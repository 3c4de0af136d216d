/** Endings of what pages are made of: images, styles, scripts, fonts, media, archives and programs. Documents are pages. */
export const ASSET_ENDINGS =
  'avif bmp gif ico jpeg jpg png svg tif tiff webp css js map mjs wasm webmanifest eot otf ttf woff woff2 ' +
  'm4a mp3 mp4 ogg wav webm 7z br bz2 dmg exe gz iso jar msi rar tar tgz xz zip'

const endings = new Set(ASSET_ENDINGS.split(' '))
const LONGEST = 11

/** Whether the path of an absolute URL ends like a file that pages are made of. */
export function isAssetUrl(url: string): boolean {
  const end = endOfPath(url)
  const dot = url.lastIndexOf('.', end - 1)
  if (dot < 0 || end - dot - 1 > LONGEST || end - dot < 3) return false
  // The dot of a host is none.
  if (url.indexOf('/', url.indexOf('//') + 2) > dot || !url.includes('/', url.indexOf('//') + 2)) return false
  return endings.has(url.slice(dot + 1, end).toLowerCase())
}

function endOfPath(url: string): number {
  const query = url.indexOf('?')
  const hash = url.indexOf('#')
  if (query < 0) return hash < 0 ? url.length : hash
  return hash < 0 ? query : Math.min(query, hash)
}
