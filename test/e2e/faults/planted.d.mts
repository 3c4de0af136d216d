/** Names of the rules that can be switched off. */
export const PLANTED_RULES: readonly string[]
/** Environment of services that run without these rules. @throws Error naming the rule that there is not */
export function plantedEnv(rules: readonly string[]): Readonly<Record<string, string>>
