// Does something that the gateway may refuse, and tells what went wrong.

import { Problem } from "../../api/problem.ts";
import { inWords, telling } from "../../frame/telling.svelte.ts";
import { wishes } from "../../frame/wishes.svelte.ts";

/** Whether it was done. */
export async function done(act: () => Promise<unknown>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    telling.fail(inWords(problem, wishes.words));
    return false;
  }
}
