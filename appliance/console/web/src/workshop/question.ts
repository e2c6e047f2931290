// One box for three questions: a line of a log, a flow, or two ends and a service. Pure.

import { spanOf } from "./addresses.ts";
import type { WhyQuestion } from "./shapes.ts";

export type Read =
  | { readonly kind: "nothing" }
  | { readonly kind: "no-service"; readonly source: string; readonly destination: string }
  | { readonly kind: "question"; readonly question: WhyQuestion };

const ARROW = /^(?:to|a|->|→|=>)$/i;
const PROTOCOL = /^(?:tcp|udp|sctp|dccp|udplite|icmp|icmpv6)$/i;

/** What somebody asks by these words. */
export function read(written: string): Read {
  const text = written.trim();
  if (text === "") return { kind: "nothing" };
  const flow = /^(?:flow\s+|flujo\s+|#)?(\d{2,20})$/i.exec(text);
  if (flow !== null) return { kind: "question", question: { flow: Number(flow[1]) } };
  return ends(text) ?? { kind: "question", question: { line: text } };
}

/** `10.20.0.12 to 198.51.100.25 https`, `lan -> 198.51.100.25:443`, `2001:db8::7 [2001:db8:1::9]:443`. */
function ends(text: string): Read | null {
  if (text.startsWith("{") || text.includes("=") || text.includes("\n")) return null;
  const words = text.split(/\s+/);
  if (/^(?:from|de|desde)$/i.test(words[0] ?? "")) words.shift();
  const [source = "", ...rest] = words;
  if (ARROW.test(rest[0] ?? "")) rest.shift();
  const [end = "", ...service] = rest;
  if (end === "" || service.length > 3 || !plain(source)) return null;
  const { host, port } = hostAndPort(end);
  if (!plain(host)) return null;
  const asked = serviceOf(service, port);
  if (asked === null) return null;
  if (asked === "") return { kind: "no-service", source, destination: host };
  return { kind: "question", question: { source, destination: host, service: asked } };
}

function plain(word: string): boolean {
  return spanOf(word) !== null || /^[\p{L}][\p{L}\p{N}_.:-]*$/u.test(word);
}

function hostAndPort(word: string): { host: string; port: string } {
  const bracketed = /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(word);
  if (bracketed !== null) return { host: bracketed[1] ?? "", port: bracketed[2] ?? "" };
  const ported = /^([^:]+):(\d{1,5})$/.exec(word);
  return ported === null ? { host: word, port: "" } : { host: ported[1] ?? "", port: ported[2] ?? "" };
}

/** A service in the policy's words; "" when nothing is said, null for what is none. */
function serviceOf(words: readonly string[], port: string): string | null {
  const said = words.filter((word) => !/^(?:port|puerto|service|servicio|on)$/i.test(word));
  if (port !== "") {
    if (said.length === 0) return `tcp/${port}`;
    return said.length === 1 && PROTOCOL.test(said[0] ?? "") ? `${said[0]?.toLowerCase()}/${port}` : null;
  }
  const [first = "", second = ""] = said;
  if (said.length === 0) return "";
  if (said.length === 1) return /^\d{1,5}$/.test(first) ? `tcp/${first}` : first;
  if (said.length > 2) return null;
  if (PROTOCOL.test(first) && /^[\w-]+$/.test(second)) return `${first.toLowerCase()}/${second}`;
  return PROTOCOL.test(second) && /^\d+$/.test(first) ? `${second.toLowerCase()}/${first}` : null;
}
