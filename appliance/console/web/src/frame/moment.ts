// A moment by the clock that the person reads times by.

import { clockTime } from "./times.ts";
import { wishes } from "./wishes.svelte.ts";

/** Day and time of `at`, without the day where it is that of `now`; both in seconds since the epoch. */
export function moment(at: number, now: number, seconds = false): string {
  const utc = wishes.clock === "utc";
  return clockTime(at, now, wishes.language, utc ? "UTC" : undefined, seconds) + (utc ? " UTC" : "");
}
