import type { View } from "../../frame/view.ts";

export const indicators: View = {
  path: "/indicators",
  title: (words) => words.indicators.title,
  group: "network",
  permission: "look",
  component: () => import("./Indicators.svelte"),
};
