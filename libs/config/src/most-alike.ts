const SHOWN = 5

/** The five of `names` that look most like `text`, the nearest first, by the letter pairs that they share (Dice). */
export function mostAlike(text: string, names: readonly string[]): string[] {
  const pairs = pairsOf(text.toLowerCase())
  const likeness = (name: string): number => {
    const others = pairsOf(name)
    return (2 * [...others].filter((pair) => pairs.has(pair)).length) / (pairs.size + others.size)
  }
  return names
    .map((name) => ({ name, likeness: likeness(name) }))
    .sort((a, b) => b.likeness - a.likeness)
    .slice(0, SHOWN)
    .map(({ name }) => name)
}

/** With a mark before and behind, so that beginnings and ends count. */
function pairsOf(text: string): Set<string> {
  const marked = ` ${text} `
  return new Set(Array.from({ length: marked.length - 1 }, (_, i) => marked.slice(i, i + 2)))
}
