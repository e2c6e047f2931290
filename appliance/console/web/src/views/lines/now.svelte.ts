// The lines as they are now: asked for once, then told by the gateway as long as a view looks.

import { get } from "../../api/client.ts";
import { on } from "../../api/live.ts";
import { asked, type Asked } from "../../frame/asking.svelte.ts";
import type { Lines } from "./shapes.ts";

/** Call it while a component is made. */
export function linesNow(): Asked<Lines> {
  const found = asked((signal) => get<Lines>("/lines", { signal }));
  $effect(() =>
    on<Lines>("lines", (told) => {
      found.value = told;
      found.problem = null;
    }),
  );
  return found;
}
