import type { View } from "../../frame/view.ts";

export const health: View = {
  path: "/health",
  title: (words) => words.health.title,
  group: "now",
  permission: "look",
  component: () => import("./Health.svelte"),
};
