import { createLogger, type Readiness, Registry } from '@millrace/server'
import { createFacts, type Facts } from './facts.ts'

/** The real facts, told to nobody. */
export function silentFacts(registry = new Registry(), lines: string[] = []): Facts {
  const readiness = { set: () => undefined, watch: () => undefined } as unknown as Readiness
  return createFacts(registry, createLogger('info', 'silent', { write: (line) => void lines.push(line) }), readiness)
}
