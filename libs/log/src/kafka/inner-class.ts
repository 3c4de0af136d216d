import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)
const mended = new WeakMap<object, Set<string>>()

/** A class of kafkajs by its file. It is no part of the public face of the package: libs/log/package.json pins the version. */
export const innerClass = <T extends object>(file: string): { readonly prototype: T } => require(`kafkajs/src/${file}`)

/** Lets `mend` replace methods of such a class, once however often it is called; `guard` tells the replacements apart. */
export function mendOnce<T extends object>(
  { prototype }: { readonly prototype: T },
  guard: string,
  mend: (prototype: T) => void,
): void {
  const guards = mended.get(prototype) ?? new Set()
  mended.set(prototype, guards)
  if (guards.has(guard)) return
  guards.add(guard)
  mend(prototype)
}
