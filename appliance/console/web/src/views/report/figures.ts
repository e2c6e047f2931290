// Figures as a person reads them. Pure.

import type { Figure, Outcome, Section } from "./shapes.ts";

const DAY = 86_400;
// Of these there should be none.
const NONE = new Set(["expired", "overdue", "without-owner", "undated", "unused", "devices", "drift", "audit"]);

export interface Words {
  part: (value: string, of: string) => string;
  lasting: {
    days: (n: string) => string;
    hours: (n: string) => string;
    minutes: (n: string) => string;
    seconds: (n: string) => string;
  };
}

/** "3 of 41", "4 min". */
export function valueOf(one: Figure, language: string, words: Words): string {
  if (one.value === null) return "";
  const number = (value: number): string =>
    new Intl.NumberFormat(language, { maximumFractionDigits: 0 }).format(value);
  if (one.unit === "seconds") {
    const { days, hours, minutes, seconds } = words.lasting;
    if (one.value >= 2 * DAY) return days(number(one.value / DAY));
    if (one.value >= 7200) return hours(number(one.value / 3600));
    if (one.value >= 120) return minutes(number(one.value / 60));
    return seconds(number(one.value));
  }
  return one.of > 0 ? words.part(number(one.value), number(one.of)) : number(one.value);
}

/** Whether it is as it should be; null where more or less is neither good nor bad. */
export function isWell(one: Figure): boolean | null {
  if (one.value === null) return null;
  if (one.id === "alive") return one.value === one.of;
  return NONE.has(one.id) ? one.value === 0 : null;
}

export function counted(section: Section): Record<Outcome, number> {
  const found: Record<Outcome, number> = { pass: 0, fail: 0, unknown: 0 };
  for (const one of section.answers) found[one.outcome]++;
  return found;
}
