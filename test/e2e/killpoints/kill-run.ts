import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Kill, type Lived, live, placeIn, type Scenario } from './lives.ts'

/** What a row of lives came to. */
export interface KillReport {
  /** One for each kill that was asked for, in their order. */
  readonly lives: readonly Lived[]
  readonly wrong: readonly string[]
  /** Where everything is; gone when nothing is wrong. */
  readonly folder: string
}

/**
 * One installation that is killed in one life after another, recovers by its normal start each time and goes on, lives
 * once to its end, and is judged. It begins as a copy of `template`, or as nothing.
 */
export async function runKills(
  scenario: Scenario,
  library: string,
  kills: readonly Kill[],
  { template, env }: { readonly template?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<KillReport> {
  const folder = mkdtempSync(join(tmpdir(), `millrace-kill-${scenario.name}-`))
  const place = placeIn(folder)
  if (template) cpSync(template, folder, { recursive: true })
  else mkdirSync(place.dir)
  const lives: Lived[] = []
  const first = template ? 1 : 0
  try {
    for (const kill of [...kills, null]) {
      const boot = kills.slice(0, lives.length).filter(({ power }) => power).length
      const lived = await live(scenario, library, place, first + lives.length, kill, { ...env, BOOT: `${boot}` })
      if (kill) lives.push(lived)
    }
    const wrong = await scenario.judge(place)
    if (wrong.length === 0) rmSync(folder, { recursive: true, force: true })
    return { lives, wrong, folder }
  } catch (error) {
    return { lives, wrong: [(error as Error).message], folder }
  }
}
