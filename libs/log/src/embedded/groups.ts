import { CommitRefused, type PartitionPosition } from '../event-log.ts'

interface Member<Owner> {
  readonly id: number
  readonly group: string
  readonly topics: readonly string[]
  readonly owner: Owner
}

/** Who consumes for a group: one member at a time, which owns all partitions. A member that left, or was replaced, can commit no more. */
export class Groups<Owner> {
  readonly #members = new Map<number, Member<Owner>>()
  #lastId = 0

  /** @throws Error while the group has another member */
  join(group: string, topics: readonly string[], owner: Owner): number {
    for (const member of this.#members.values())
      if (member.group === group) throw new Error(`group ${group} has a consumer in this process: close it first`)
    const id = ++this.#lastId
    this.#members.set(id, { id, group, topics, owner })
    return id
  }

  leave(id: number): void {
    this.#members.delete(id)
  }

  /** Removes the members of a thread that is gone. */
  leaveAll(owner: Owner): void {
    for (const member of this.#members.values()) if (member.owner === owner) this.#members.delete(member.id)
  }

  /** The group that a member may commit these positions for. @throws CommitRefused */
  groupOf(id: number, positions: readonly PartitionPosition[]): string {
    const member = this.#members.get(id)
    if (member === undefined) throw new CommitRefused('the consumer is no longer a member of its group')
    const foreign = positions.find(({ topic }) => !member.topics.includes(topic))
    if (foreign) throw new CommitRefused(`${foreign.topic} is not consumed by this consumer`)
    return member.group
  }
}
