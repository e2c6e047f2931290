import type { View } from "../../frame/view.ts";

export const flows: View = {
  path: "/flows",
  title: (words) => words.flows.title,
  group: "now",
  permission: "look",
  component: () => import("./Flows.svelte"),
};
