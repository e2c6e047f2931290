// Addresses, networks and ranges as pairs of numbers, to ask whether one holds another. Pure.

/** Numbers for IPv4, which a search compares by the hundred thousand, and big ones for IPv6. */
export type Span =
  | { readonly version: 4; readonly low: number; readonly high: number }
  | { readonly version: 6; readonly low: bigint; readonly high: bigint };

type Address = { readonly version: 4; readonly value: number } | { readonly version: 6; readonly value: bigint };

/** What `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32` or `10.0.0.1-10.0.0.9` stands for; null for any other word. */
export function spanOf(word: string): Span | null {
  const dash = word.indexOf("-");
  if (dash > 0) return rangeOf(addressOf(word.slice(0, dash).trim()), addressOf(word.slice(dash + 1).trim()));
  const slash = word.indexOf("/");
  const address = addressOf(slash < 0 ? word : word.slice(0, slash));
  if (address === null) return null;
  const bits = address.version === 4 ? 32 : 128;
  const written = slash < 0 ? `${bits}` : word.slice(slash + 1);
  const host = /^\d{1,3}$/.test(written) ? bits - Number(written) : -1;
  if (host < 0) return null;
  if (address.version === 4) {
    const size = 2 ** host;
    const low = Math.floor(address.value / size) * size;
    return { version: 4, low, high: low + size - 1 };
  }
  const low = (address.value >> BigInt(host)) << BigInt(host);
  return { version: 6, low, high: low + (1n << BigInt(host)) - 1n };
}

function rangeOf(low: Address | null, high: Address | null): Span | null {
  if (low === null || high === null || low.value > high.value) return null;
  if (low.version === 4 && high.version === 4) return { version: 4, low: low.value, high: high.value };
  if (low.version === 6 && high.version === 6) return { version: 6, low: low.value, high: high.value };
  return null;
}

export function holds(outer: Span, inner: Span): boolean {
  return outer.version === inner.version && outer.low <= inner.low && inner.high <= outer.high;
}

function addressOf(word: string): Address | null {
  if (word.includes(":")) return sixOf(word);
  const value = fourOf(word);
  return value === null ? null : { version: 4, value };
}

function fourOf(word: string): number | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(word);
  if (match === null) return null;
  let value = 0;
  for (const part of match.slice(1)) {
    if (Number(part) > 255) return null;
    value = value * 256 + Number(part);
  }
  return value;
}

function sixOf(word: string): Address | null {
  const halves = word.split("::");
  if (halves.length > 2) return null;
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const last = groups.at(-1);
  const tail = last?.at(-1);
  if (last !== undefined && tail !== undefined && tail.includes(".")) {
    const four = fourOf(tail);
    if (four === null) return null;
    last.splice(-1, 1, Math.floor(four / 65536).toString(16), (four % 65536).toString(16));
  }
  const written = groups.reduce((sum, half) => sum + half.length, 0);
  if (halves.length === 2 ? written > 7 : written !== 8) return null;
  const [front = [], back = []] = groups;
  const all = halves.length === 2 ? [...front, ...new Array<string>(8 - written).fill("0"), ...back] : front;
  let value = 0n;
  for (const group of all) {
    if (!/^[0-9a-f]{1,4}$/i.test(group)) return null;
    value = (value << 16n) + BigInt(`0x${group}`);
  }
  return { version: 6, value };
}
