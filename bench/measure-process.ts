import { readdirSync, readFileSync } from 'node:fs'

/** Clock ticks of /proc are hundredths of a second on Linux. */
const TICK_US = 10_000

/** CPU of a process so far, microseconds, by kind of thread. */
export type CpuByThread = ReadonlyMap<string, number>

/** Reads /proc: the main thread, then all others under the names that they gave themselves. */
export function cpuByThread(pid: number): CpuByThread {
  const cpu = new Map<string, number>()
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = statOf(pid, thread)
    if (text === undefined) continue
    const end = text.lastIndexOf(')')
    const name = thread === String(pid) ? 'main' : text.slice(text.indexOf('(') + 1, end)
    const fields = text.slice(end + 2).split(' ')
    cpu.set(name, (cpu.get(name) ?? 0) + (Number(fields[11]) + Number(fields[12])) * TICK_US)
  }
  return cpu
}

/** CPU of the whole process, microseconds, threads that have ended included. */
export function cpuOfProcess(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) * TICK_US
}

/** Memory of a process: now, and the most so far, in megabytes. */
export function memoryOf(pid: number): { nowMb: number; peakMb: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  const megabytes = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024
  return { nowMb: megabytes('VmRSS'), peakMb: megabytes('VmHWM') }
}

/** Thread names with what each used between two readings, the largest first. */
export function cpuBetween(before: CpuByThread, after: CpuByThread): [name: string, us: number][] {
  return [...after]
    .map(([name, us]): [string, number] => [name, us - (before.get(name) ?? 0)])
    .filter(([, us]) => us > 0)
    .sort((a, b) => b[1] - a[1])
}

/** A thread may end between listing and reading. */
function statOf(pid: number, thread: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
  } catch {
    return undefined
  }
}
