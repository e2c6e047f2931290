// Times and spans in a person's words. Pure: the zone and the language are given.

const formats = new Map<string, Intl.DateTimeFormat>();

function format(language: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = language + JSON.stringify(options);
  let made = formats.get(key);
  if (!made) formats.set(key, (made = new Intl.DateTimeFormat(language, options)));
  return made;
}

/** Day and time of `at` (seconds since the epoch); today's without the day. `zone` undefined is the browser's. */
export function clockTime(at: number, now: number, language: string, zone?: string, seconds = false): string {
  const timeZone = zone === undefined ? {} : { timeZone: zone };
  const day = format(language, { ...timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const time: Intl.DateTimeFormatOptions = { ...timeZone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  if (seconds) time.second = "2-digit";
  const date = new Date(at * 1000);
  if (day.format(date) === day.format(new Date(now * 1000))) return format(language, time).format(date);
  return format(language, { ...time, year: "numeric", month: "short", day: "numeric" }).format(date);
}

/** The same moment for whoever compares with a log: ISO 8601 in UTC, to the second. */
export function utcTime(at: number): string {
  return new Date(Math.floor(at) * 1000).toISOString().replace(".000Z", "Z");
}

/** A length of time in its two largest units at most: 90 -> "1 min 30 s". */
export function span(seconds: number, language: string): string {
  let rest = Math.max(0, Math.round(seconds));
  const units: [Intl.NumberFormatOptions["unit"] & string, number][] = [
    ["day", 86_400],
    ["hour", 3600],
    ["minute", 60],
    ["second", 1],
  ];
  const parts: string[] = [];
  for (const [unit, length] of units) {
    const count = Math.floor(rest / length);
    rest -= count * length;
    if (count > 0) {
      parts.push(new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "short" }).format(count));
    } else if (parts.length > 0) break;
    if (parts.length === 2) break;
  }
  return parts.length > 0
    ? parts.join(" ")
    : new Intl.NumberFormat(language, { style: "unit", unit: "second", unitDisplay: "short" }).format(0);
}

/** Minutes and seconds that are left: "1:05"; over an hour "1:02:05". */
export function countdown(seconds: number): string {
  const rest = Math.max(0, Math.ceil(seconds));
  const two = (value: number): string => String(value).padStart(2, "0");
  const hours = Math.floor(rest / 3600);
  const minutes = Math.floor((rest % 3600) / 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest % 60)}` : `${minutes}:${two(rest % 60)}`;
}

/** How long ago, or how far ahead: in one unit, in words. */
export function fromNow(at: number, now: number, language: string): string {
  const seconds = at - now;
  const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
  const size = Math.abs(seconds);
  if (size < 60) return relative.format(Math.trunc(seconds), "second");
  if (size < 3600) return relative.format(Math.trunc(seconds / 60), "minute");
  if (size < 86_400) return relative.format(Math.trunc(seconds / 3600), "hour");
  return relative.format(Math.trunc(seconds / 86_400), "day");
}
