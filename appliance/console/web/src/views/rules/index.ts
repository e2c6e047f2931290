import type { View } from "../../frame/view.ts";

export const rules: View = {
  path: "/rules",
  title: (words) => words.workshop.views.rules,
  group: "policy",
  permission: "look",
  component: () => import("./Rules.svelte"),
};
