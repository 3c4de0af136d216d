interface Deno {
  readonly unrefTimer?: (id: number) => void
}

/** Runs `run` after `ms` unless the returned function is called first. The wait alone keeps no process alive. */
export function startTimer(run: () => void, ms: number): () => void {
  // A number in browsers, on the edge and in older Deno; an object in Node.js and Bun.
  const timer: unknown = setTimeout(run, ms)
  if (typeof timer === 'number') (globalThis as { Deno?: Deno }).Deno?.unrefTimer?.(timer)
  else (timer as { unref?: () => void }).unref?.()
  return () => clearTimeout(timer as number)
}

/** As startTimer, but a process stays alive for it: for waits that somebody asked for. */
export function startDeadline(run: () => void, ms: number): () => void {
  const timer = setTimeout(run, ms)
  return () => clearTimeout(timer)
}
