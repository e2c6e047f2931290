// What happens on the gateway, as it happens: one stream for the whole page, kept while the page can be seen.

import { UNATTENDED, attended } from "./attended.ts";
import { ROOT, ended, heard, lost, stillHere } from "./client.ts";
import { EventReader, backOff } from "./events.ts";

const ALWAYS = ["status", "alert", "proposal", "draft", "health", "link"] as const;
/** What costs the gateway work: it is told only to who names it, so it is named only while a view listens. */
const NAMED = ["flow", "lines"] as const;

/** `reset`: what happened meanwhile is not known any more; ask for everything anew. */
export type LiveKind = (typeof ALWAYS)[number] | (typeof NAMED)[number] | "reset";
type Handler = (data: unknown, id: string) => void;

const HIDDEN_FOR = 60_000; // ms; a page nobody looks at gives its connection back
const UNWANTED_FOR = 10_000; // ms; who goes from view to view keeps one stream
const SILENT_FOR = 45_000; // ms; the gateway says something every 15 s, if only a comment

const handlers = new Map<string, Set<Handler>>();
const onState = new Set<(connected: boolean) => void>();
let lastId = "";
let connected = false;
let stop: AbortController | null = null;
let tries = 0;
let timer = 0;
let hiding = 0;
let started = false;
let asked: readonly string[] = []; // what the stream of the moment names
let renewing = false;

/** What the views of the moment want that must be named. */
function wanted(): readonly string[] {
  return NAMED.filter((kind) => (handlers.get(kind)?.size ?? 0) > 0);
}

/** A new stream goes on where the one before ended: where more is wanted, or after a while where less is. */
function renew(less: boolean): void {
  if (!started || stop === null) return;
  const now = wanted();
  const more = now.some((kind) => !asked.includes(kind));
  if (!more && !(less && now.length < asked.length)) return;
  renewing = true;
  stop.abort();
}

/** Call `handler` with every event of a kind; what it returns ends that. */
export function on<T>(kind: LiveKind, handler: (data: T, id: string) => void): () => void {
  const all = handlers.get(kind) ?? new Set();
  handlers.set(kind, all);
  all.add(handler as Handler);
  window.setTimeout(renew, 0, false);
  return () => {
    all.delete(handler as Handler);
    window.setTimeout(renew, UNWANTED_FOR, true);
  };
}

export function watchLive(listener: (connected: boolean) => void): () => void {
  onState.add(listener);
  listener(connected);
  return () => onState.delete(listener);
}

function say(now: boolean): void {
  if (now === connected) return;
  connected = now;
  for (const listener of onState) listener(now);
}

function later(least: number): void {
  window.clearTimeout(timer);
  timer = window.setTimeout(() => void listen(), backOff(tries++, Math.random(), Math.max(1000, least)));
}

async function listen(): Promise<void> {
  if (stop) return;
  const mine = (stop = new AbortController());
  const reader = new EventReader();
  reader.lastId = lastId;
  let silence = 0;
  const alive = (): void => {
    window.clearTimeout(silence);
    silence = window.setTimeout(() => mine.abort(), SILENT_FOR);
  };
  let over = false;
  try {
    alive();
    const headers = new Headers({ Accept: "text/event-stream" });
    if (lastId) headers.set("Last-Event-ID", lastId);
    if (!attended()) headers.set(UNATTENDED, "1");
    asked = wanted();
    const kinds = asked.length > 0 ? `?${[...ALWAYS, ...asked].map((kind) => `kind=${kind}`).join("&")}` : "";
    const answer = await fetch(`${ROOT}/live${kinds}`, { headers, signal: mine.signal, cache: "no-store" });
    heard(answer);
    if (answer.status === 401 || answer.status === 403) {
      over = true;
      if (answer.status === 401) ended();
    }
    if (answer.ok && answer.body) {
      say(true);
      const pieces = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let piece = await pieces.read(); !piece.done; piece = await pieces.read()) {
        alive();
        stillHere();
        tries = 0;
        for (const event of reader.feed(piece.value)) {
          lastId = event.id;
          const data: unknown = JSON.parse(event.data);
          for (const handler of handlers.get(event.kind) ?? []) handler(data, event.id);
        }
      }
    }
  } catch (error) {
    if (!(error instanceof TypeError) && !(error instanceof DOMException)) throw error;
    // A stream that breaks may have been closed for a reason; whether the gateway is there is asked then.
    if (!connected && document.visibilityState === "visible" && !mine.signal.aborted) lost();
  } finally {
    window.clearTimeout(silence);
    if (stop === mine) stop = null;
    const again = renewing && !over;
    renewing = false;
    if (!again) say(false);
    if (again && started) void listen();
    else if (started && !over && document.visibilityState === "visible") later(reader.retry);
  }
}

function seen(): void {
  window.clearTimeout(hiding);
  if (document.visibilityState === "visible") {
    tries = 0;
    window.clearTimeout(timer);
    void listen();
  } else {
    hiding = window.setTimeout(() => stop?.abort(), HIDDEN_FOR);
  }
}

/** Begin to listen; the frame does this once somebody is logged in. */
export function startLive(): void {
  if (started) return;
  started = true;
  // Who comes back has missed what happened meanwhile.
  if (lastId) for (const handler of handlers.get("reset") ?? []) handler({}, "");
  document.addEventListener("visibilitychange", seen);
  window.addEventListener("online", seen);
  void listen();
}

/** Stop listening: nobody is logged in any more. */
export function stopLive(): void {
  started = false;
  document.removeEventListener("visibilitychange", seen);
  window.removeEventListener("online", seen);
  window.clearTimeout(timer);
  window.clearTimeout(hiding);
  stop?.abort();
}
