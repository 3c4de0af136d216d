import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

export const PACKAGE = fileURLToPath(new URL('..', import.meta.url))
const FACE = fileURLToPath(new URL('./index.ts', import.meta.url))

/** A program in one text, as a bundler would ship it. `@millrace/sdk` in it is this package; node: stays outside. */
export async function bundle(
  source: { readonly file: string } | { readonly text: string },
  options: { readonly minify?: boolean; readonly format?: 'esm' | 'iife' } = {},
): Promise<string> {
  const { outputFiles } = await build({
    ...('file' in source
      ? { entryPoints: [fileURLToPath(new URL(source.file, import.meta.url))] }
      : { stdin: { contents: source.text, loader: 'ts' as const, resolveDir: PACKAGE } }),
    alias: { '@millrace/sdk': FACE },
    bundle: true,
    write: false,
    platform: 'neutral',
    target: 'es2022',
    external: ['node:*'],
    ...options,
  })
  return outputFiles[0]!.text
}
