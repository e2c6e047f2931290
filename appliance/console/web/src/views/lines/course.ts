// What a line carried in the last minutes, as it goes on. Pure.

export interface Course {
  readonly times: readonly number[];
  readonly received: readonly number[];
  readonly sent: readonly number[];
}

const EVERY = 4.5; // seconds between two points
const KEPT = 121;

/** The course with what passes at `at` (seconds since the epoch); a rate below 0 is not known, and no point. */
export function going(course: Course, at: number, [received, sent]: readonly [number, number]): Course {
  const last = course.times.at(-1) ?? 0;
  if (at - last < EVERY || received < 0 || sent < 0) return course;
  const kept = <T>(values: readonly T[], value: T): T[] => [...values, value].slice(-KEPT);
  return {
    times: kept(course.times, at),
    received: kept(course.received, received),
    sent: kept(course.sent, sent),
  };
}
