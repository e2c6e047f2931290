// Asks the API. Every change says `X-Reef` (no other site can make a browser send it) and carries a key, so that
// one that is sent again because its answer got lost is not done twice.

import { UNATTENDED, attended } from "./attended.ts";
import { Problem, problemOf } from "./problem.ts";

export const ROOT = "/api/v1";

export interface Answer<T> {
  value: T;
  etag: string;
  next: string; // the address of the next page of a list, "" at its end
  status: number;
}

export interface Options {
  query?: Record<string, string | number | boolean | readonly string[] | undefined>;
  etag?: string; // If-Match: change only what is still as it was read
  key?: string; // Idempotency-Key; made here when it is missing
  signal?: AbortSignal;
  type?: string; // Content-Type of a body that is text already
}

type Listener = () => void;

/** What the page knows of the way to the gateway. Times are milliseconds of this browser's clock. */
export interface Way {
  heard: number; // when the last answer came; 0 before the first
  used: number; // when the last request was answered that counts as use of the session: the stream of events does not
  lost: boolean; // the last request got no answer
  ahead: number; // how far the gateway's clock is ahead of this browser's, in milliseconds
}

const way: Way = { heard: 0, used: 0, lost: false, ahead: 0 };
const onWay = new Set<(way: Way) => void>();
const onEnded = new Set<Listener>();
let prove: () => Promise<boolean> = () => Promise.resolve(false);

export function watchWay(listener: (way: Way) => void): () => void {
  onWay.add(listener);
  return () => onWay.delete(listener);
}

/** Called when the gateway says that nobody is logged in (any more). */
export function watchEnded(listener: Listener): () => void {
  onEnded.add(listener);
  return () => onEnded.delete(listener);
}

/** What asks the person to show that it is they, where the gateway wants that first; it says whether they did. */
export function provedBy(ask: () => Promise<boolean>): void {
  prove = ask;
}

/** Now, by the gateway's clock, in seconds since the epoch. */
export function gatewayNow(): number {
  return (Date.now() + way.ahead) / 1000;
}

function tellWay(): void {
  for (const listener of onWay) listener({ ...way });
}

export function heard(answer: Response): void {
  const date = Date.parse(answer.headers.get("Date") ?? "");
  way.heard = Date.now();
  way.lost = false;
  // The header has whole seconds: only a difference that is more than that rounding is a wrong clock.
  if (!Number.isNaN(date)) way.ahead = Math.abs(date - Date.now()) > 2000 ? date + 500 - Date.now() : 0;
  tellWay();
}

/** The stream of events said something, if only that it is still there. */
export function stillHere(): void {
  way.heard = Date.now();
  way.lost = false;
  tellWay();
}

export function lost(): void {
  way.lost = true;
  tellWay();
}

export function ended(): void {
  for (const listener of onEnded) listener();
}

export function address(path: string, query?: Options["query"]): string {
  const url = path.startsWith(ROOT) ? path : ROOT + path;
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value === undefined) continue;
    for (const one of Array.isArray(value) ? value : [value]) asked.append(name, String(one));
  }
  const text = asked.toString();
  return text ? `${url}${url.includes("?") ? "&" : "?"}${text}` : url;
}

/** The target of `rel="next"` in a Link header (RFC 8288), or "". */
export function nextOf(link: string | null): string {
  for (const part of (link ?? "").split(/,(?=\s*<)/)) {
    const match = /^\s*<([^>]*)>(.*)$/.exec(part);
    if (match?.[1] !== undefined && /;\s*rel="?next"?/.test(match[2] ?? "")) return match[1];
  }
  return "";
}

async function request(method: string, path: string, body: unknown, options: Options): Promise<Response> {
  const headers = new Headers({ Accept: "application/json, application/problem+json" });
  const here = method !== "GET" || attended();
  if (!here) headers.set(UNATTENDED, "1");
  let payload: BodyInit | null = null;
  if (method !== "GET") {
    headers.set("X-Reef", "1");
    headers.set("Idempotency-Key", options.key ?? crypto.randomUUID());
  }
  if (options.etag) headers.set("If-Match", options.etag);
  if (body !== undefined) {
    headers.set("Content-Type", options.type ?? "application/json");
    payload = options.type ? (body as string | Blob) : JSON.stringify(body);
  }
  const init: RequestInit = { method, headers, body: payload, credentials: "same-origin", cache: "no-store" };
  if (options.signal) init.signal = options.signal;
  let answer: Response;
  try {
    answer = await fetch(address(path, options.query), init);
  } catch (error) {
    if (options.signal?.aborted) throw error;
    lost();
    throw new Problem(0, {});
  }
  if (here) way.used = Date.now();
  heard(answer);
  if (answer.ok) return answer;
  if (answer.status === 401) ended();
  throw await problemOf(answer);
}

async function proven(method: string, path: string, body: unknown, options: Options): Promise<Response> {
  try {
    return await request(method, path, body, options);
  } catch (problem) {
    if (!(problem instanceof Problem) || problem.code !== "prove" || !(await prove())) throw problem;
    return request(method, path, body, options);
  }
}

async function ask<T>(method: string, path: string, body: unknown, options: Options): Promise<Answer<T>> {
  const answer = await proven(method, path, body, options);
  const text = await answer.text();
  const json = answer.headers.get("Content-Type")?.includes("json");
  return {
    value: (text === "" ? undefined : json ? JSON.parse(text) : text) as T,
    etag: answer.headers.get("ETag") ?? "",
    next: nextOf(answer.headers.get("Link")),
    status: answer.status,
  };
}

/** What an answer gives to keep as a file, and what it is called. */
export async function postFile(
  path: string,
  body: unknown,
  options: Options = {},
): Promise<{ data: Blob; name: string }> {
  const answer = await request("POST", path, body, options);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "reef";
  return { data: await answer.blob(), name };
}

/** A resource with its ETag, to change it later. */
export function read<T>(path: string, options: Options = {}): Promise<Answer<T>> {
  return ask<T>("GET", path, undefined, options);
}

/** A resource's value alone. */
export async function get<T>(path: string, options: Options = {}): Promise<T> {
  return (await read<T>(path, options)).value;
}

/** What is no JSON. */
export async function file(path: string, options: Options = {}): Promise<Blob> {
  return (await proven("GET", path, undefined, options)).blob();
}

/** Every page of a list, at most `most` entries. */
export async function all<T>(path: string, options: Options = {}, most = 100_000): Promise<T[]> {
  const entries: T[] = [];
  let page = await read<T[]>(path, options);
  entries.push(...page.value);
  while (page.next && entries.length < most) {
    page = await read<T[]>(page.next, options.signal ? { signal: options.signal } : {});
    for (const entry of page.value) entries.push(entry);
  }
  return entries;
}

export function post<T>(path: string, body?: unknown, options: Options = {}): Promise<Answer<T>> {
  return ask<T>("POST", path, body, options);
}

export function put<T>(path: string, body: unknown, options: Options = {}): Promise<Answer<T>> {
  return ask<T>("PUT", path, body, options);
}

export function patch<T>(path: string, body: unknown, options: Options = {}): Promise<Answer<T>> {
  return ask<T>("PATCH", path, body, options);
}

export function remove<T = void>(path: string, options: Options = {}): Promise<Answer<T>> {
  return ask<T>("DELETE", path, undefined, options);
}
