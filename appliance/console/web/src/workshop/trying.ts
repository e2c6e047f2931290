// Do something, and tell a person when it did not work.

import { Problem } from "../api/problem.ts";
import { inWords, telling } from "../frame/telling.svelte.ts";
import { wishes } from "../frame/wishes.svelte.ts";

/** True when it is done; false when it was refused, which the person has been told. */
export async function tried(work: () => Promise<unknown>): Promise<boolean> {
  try {
    await work();
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    const details = problem.findings.map((one) => (one.remedy ? `${one.message}; ${one.remedy}` : one.message));
    const words = inWords(problem, wishes.words);
    telling.fail(
      words,
      details.filter((one) => one !== words),
    );
    return false;
  }
}
