import { linkSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { removeQuietly } from './durable-file.ts'

/** Who holds a folder. A pid comes again; a pid with its start time does not, within one boot. */
interface Holder {
  readonly pid: number
  /** Clock ticks since boot (field 22 of /proc/PID/stat); '' where there is no /proc. */
  readonly started: string
  /** /proc/sys/kernel/random/boot_id; '' where there is none. */
  readonly boot: string
}

export interface Lock {
  /** The process that died while it held the folder; null = nobody. */
  readonly takenOverFrom: number | null
  release(): void
}

/**
 * Locks a folder for this process. Node has no flock, so the lock is a file that names its holder; one whose holder is
 * gone (kill -9, power loss) is taken over.
 * @throws Error when a living process, also this one, holds the folder
 */
export function lockFolder(dir: string): Lock {
  const path = join(dir, 'lock')
  const own = JSON.stringify({ pid: process.pid, started: startOf(process.pid), boot: bootId() } satisfies Holder)
  // Written whole before it gets its name: nobody ever reads half a lock.
  const draft = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}`
  writeFileSync(draft, own, { mode: 0o600 })
  try {
    return claim(dir, path, draft)
  } finally {
    removeQuietly(draft)
  }
}

function claim(dir: string, path: string, draft: string): Lock {
  let takenOverFrom: number | null = null
  while (!linked(draft, path)) {
    const found = readText(path)
    if (found === null) continue
    const holder = parseHolder(found)
    if (holder !== null && isAlive(holder)) throw heldBy(dir, holder)
    takenOverFrom = holder?.pid ?? 0
    setAside(path, found, draft)
  }
  return { takenOverFrom, release: () => removeQuietly(path) }
}

const heldBy = (dir: string, { pid }: Holder): Error =>
  new Error(
    pid === process.pid
      ? `${dir} is already open in this process (${pid}): close it first`
      : `${dir} is in use by process ${pid}: one process at a time may use a data folder`,
  )

/** Removes a lock that was found dead, unless another process has replaced it meanwhile: then it is put back. */
function setAside(path: string, found: string, draft: string): void {
  const aside = `${draft}.dead`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  if (readText(aside) !== found) linked(aside, path)
  removeQuietly(aside)
}

function linked(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function parseHolder(text: string): Holder | null {
  try {
    const { pid, started, boot } = JSON.parse(text)
    return Number.isSafeInteger(pid) && pid > 0 ? { pid, started, boot } : null
  } catch {
    return null
  }
}

function isAlive({ pid, started, boot }: Holder): boolean {
  if (boot !== bootId()) return false
  if (started !== '') return startOf(pid) === started
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Start time of a process; '' when there is no such process, it is a zombie, or no /proc. */
function startOf(pid: number): string {
  const stat = readText(`/proc/${pid}/stat`)
  // The second field is the command in parentheses, and may contain anything.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields === undefined || fields[0] === 'Z' ? '' : (fields[19] ?? '')
}

/** Of this boot of the machine; '' where nothing tells. */
export const bootId = (): string => readText('/proc/sys/kernel/random/boot_id')?.trim() ?? ''

function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
