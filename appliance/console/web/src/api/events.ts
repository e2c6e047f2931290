// Reads a stream of server-sent events (HTML standard, 9.2.6) from its text, piece by piece.

export interface StreamEvent {
  kind: string;
  data: string;
  id: string;
}

/** `feed` takes pieces as they come, cut anywhere, and returns the events that are complete. */
export class EventReader {
  lastId = "";
  retry = 0; // milliseconds the server asks to wait before coming back; 0 when it did not
  #rest = "";
  #kind = "";
  #data: string[] = [];

  feed(piece: string): StreamEvent[] {
    const events: StreamEvent[] = [];
    let text = this.#rest + piece;
    // A CR at the very end may be the first half of CR LF.
    const held = text.endsWith("\r") ? "\r" : "";
    text = text.slice(0, text.length - held.length);
    const lines = text.split(/\r\n|\r|\n/);
    this.#rest = (lines.pop() ?? "") + held;
    for (const line of lines) {
      const event = this.#line(line);
      if (event) events.push(event);
    }
    return events;
  }

  #line(line: string): StreamEvent | null {
    if (line === "") {
      const event = { kind: this.#kind || "message", data: this.#data.join("\n"), id: this.lastId };
      const some = this.#data.length > 0;
      this.#kind = "";
      this.#data = [];
      return some ? event : null;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (field === "event") this.#kind = value;
    else if (field === "data") this.#data.push(value);
    else if (field === "id" && !value.includes("\0")) this.lastId = value;
    else if (field === "retry" && /^\d+$/.test(value)) this.retry = Number(value);
    return null;
  }
}

/** How long to wait before try number `tries` (from 0), in milliseconds: doubling, bounded, spread by `chance` (0–1). */
export function backOff(tries: number, chance: number, least = 1000, most = 30_000): number {
  const full = Math.min(most, least * 2 ** Math.min(tries, 10));
  return Math.round(full / 2 + (full / 2) * chance);
}
