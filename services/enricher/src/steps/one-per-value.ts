/** How many values are remembered at most; all are forgotten when it is reached. */
const MAX_KNOWN = 30_000

/**
 * One object for equal values of plain texts and numbers. Rows tell what they share by the object (SharedValues in
 * @millrace/shared), so that fewer objects are less work; two for one value do no harm.
 */
export class OnePerValue<Value extends object> {
  readonly #known = new Map<string, Value>()

  /** The object for a value that equals `value`: it, when it is the first. */
  of(value: Value): Value {
    const key = Object.values(value).join('\0')
    const known = this.#known.get(key)
    if (known !== undefined) return known
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    this.#known.set(key, value)
    return value
  }
}
