// Dedupe remembers which events are being handled and which have been.
//
// It is in memory, so it serves one process and forgets at a restart. For more,
// keep the same three steps in your database, and give claims a lease, so that
// those of a process that died come free.
export class Dedupe {
  #inFlight = new Set()
  #done = new Map() // event id → when it may be forgotten; the first is the oldest

  // keep is for how many milliseconds a handled event is remembered: longer than
  // its sender goes on trying. max bounds how many are.
  constructor({ keep = 7 * 24 * 3600 * 1000, max = 1_000_000 } = {}) {
    this.keep = keep
    this.max = max
  }

  // claim returns 'claimed' to the one who is to handle the event and then to
  // call done or release; to others 'done' or 'in flight'. It says 'full' rather
  // than forget an event too early.
  claim(id, now = Date.now()) {
    for (const [old, until] of this.#done) {
      if (until > now) break
      this.#done.delete(old)
    }
    if (this.#done.has(id)) return 'done'
    if (this.#inFlight.has(id)) return 'in flight'
    if (this.#done.size + this.#inFlight.size >= this.max) return 'full'
    this.#inFlight.add(id)
    return 'claimed'
  }

  done(id, now = Date.now()) {
    this.#inFlight.delete(id)
    this.#done.set(id, now + this.keep)
  }

  // release lets the event come again.
  release(id) {
    this.#inFlight.delete(id)
  }
}
