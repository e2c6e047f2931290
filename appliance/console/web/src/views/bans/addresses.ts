// What somebody types or pastes as addresses. Pure.

/** The addresses of a text: whatever stands between commas, semicolons, spaces and lines; each once. */
export function addressesOf(text: string): string[] {
  const joined = text.replace(/\s*-\s*/g, "-"); // a range may have spaces in it
  return [...new Set(joined.split(/[\s,;]+/).filter(Boolean))];
}

/** How long bans last that people choose from: seconds, 0 until they are taken back. */
export const LENGTHS = [900, 3600, 86_400, 604_800, 2_592_000, 0] as const;

/** The seconds that are left until `until`, for a ban that is made again; at least a minute. 0 where it has no end. */
export function rest(until: number, now: number): number {
  return until > 0 ? Math.max(60, Math.round(until - now)) : 0;
}
