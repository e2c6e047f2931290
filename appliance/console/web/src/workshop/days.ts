// Days of a month as a calendar has them, with what falls on each. Pure.

export interface Day<T> {
  /** The date as the policy writes it: 2027-03-31. */
  readonly date: string;
  readonly number: number;
  readonly inMonth: boolean;
  readonly entries: readonly T[];
}

/** A month as the address has it ("2027-03"); null for anything else. */
export function monthOf(text: string): { year: number; month: number } | null {
  const match = /^(\d{4})-(\d{2})$/.exec(text);
  if (match === null) return null;
  const [year, month] = [Number(match[1]), Number(match[2])];
  return month >= 1 && month <= 12 && year >= 1970 ? { year, month } : null;
}

export function monthName(year: number, month: number): string {
  return `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}`;
}

/** The month `by` months later. */
export function further(year: number, month: number, by: number): { year: number; month: number } {
  const count = year * 12 + (month - 1) + by;
  return { year: Math.floor(count / 12), month: (count % 12) + 1 };
}

/** The day on which a moment (seconds since the epoch) falls, by the clock of this browser or UTC. */
export function dateOf(at: number, utc: boolean): string {
  const moment = new Date(at * 1000);
  return utc
    ? moment.toISOString().slice(0, 10)
    : `${monthName(moment.getFullYear(), moment.getMonth() + 1)}-${String(moment.getDate()).padStart(2, "0")}`;
}

/** The weeks of a month, Monday first, with the days of its neighbours that fill them. */
export function weeksOf<T extends { readonly at: number }>(
  year: number,
  month: number,
  entries: readonly T[],
  utc: boolean,
): Day<T>[][] {
  const byDate = new Map<string, T[]>();
  for (const entry of entries) {
    const date = dateOf(entry.at, utc);
    byDate.set(date, [...(byDate.get(date) ?? []), entry]);
  }
  const first = new Date(Date.UTC(year, month - 1, 1));
  const lead = (first.getUTCDay() + 6) % 7;
  const weeks: Day<T>[][] = [];
  for (let offset = -lead; ; offset += 7) {
    const week = Array.from({ length: 7 }, (_, index) => {
      const day = new Date(Date.UTC(year, month - 1, 1 + offset + index));
      const date = day.toISOString().slice(0, 10);
      return {
        date,
        number: day.getUTCDate(),
        inMonth: day.getUTCMonth() === month - 1,
        entries: byDate.get(date) ?? [],
      };
    });
    if (!week.some((day) => day.inMonth)) return weeks;
    weeks.push(week);
  }
}
