import { spawnSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const SOURCE = fileURLToPath(new URL('./file-faults.c', import.meta.url))
/** Fortified headers define some of the functions that the library replaces. */
const FLAGS = ['-O1', '-U_FORTIFY_SOURCE', '-D_FORTIFY_SOURCE=0', '-shared', '-fPIC']

/** The library to preload, or why there is none here. */
export type Faults = { readonly library: string } | { readonly missing: string }

/** Compiles file-faults.c into a new folder. @throws Error when the compiler fails, and in CI when there is none */
export function buildFaults(): Faults {
  if (process.platform !== 'linux') return { missing: `${process.platform} has no LD_PRELOAD as it is used here` }
  const library = join(mkdtempSync(join(tmpdir(), 'millrace-faults-')), 'file-faults.so')
  for (const compiler of ['cc', 'gcc', 'clang']) {
    const { status, error, stderr } = spawnSync(compiler, [...FLAGS, '-o', library, SOURCE, '-ldl', '-lpthread'], {
      encoding: 'utf8',
    })
    if (error) continue
    if (status !== 0) throw new Error(`${compiler} cannot compile ${SOURCE}:\n${stderr}`)
    return { library }
  }
  const missing = 'there is no C compiler (cc, gcc or clang)'
  if (process.env.CI) throw new Error(`${missing}, and CI is to skip nothing`)
  return { missing }
}
