import { StoreRefused, StoreUnavailable } from './store.ts'

/** An error as ClickHouse writes it, with its code, text and name. Repetitions around nested errors and versions are left out. */
export function refusalOf(text: string): StoreRefused | null {
  const plain = text.replaceAll(/\.? ?\(version [0-9.]+[^()]*(?:\([^)]*\))?\)/g, '')
  const match = /(?:Code: (\d+)\. DB::(?:Errno)?Exception: )+([\s\S]*?)\.?((?: ?\([A-Z0-9_]+\))+)\s*$/.exec(plain)
  if (!match) return null
  const type = /\(([A-Z0-9_]+)\)$/.exec(match[3]!)![1]!
  return new StoreRefused(Number(match[1]), type, `${match[2]!.replace(/\.+$/, '')}.`)
}

/** What a call of the engine in this process threw. */
export function toConsoleError(error: unknown): StoreRefused | StoreUnavailable {
  const text = error instanceof Error ? error.message : String(error)
  return refusalOf(text) ?? new StoreUnavailable('ClickHouse ended a statement without saying why')
}
