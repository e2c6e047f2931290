import type { View } from "../../frame/view.ts";

export const why: View = {
  path: "/why",
  title: (words) => words.workshop.views.why,
  group: "policy",
  permission: "look",
  component: () => import("./Why.svelte"),
};
