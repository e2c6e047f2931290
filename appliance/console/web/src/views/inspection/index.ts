import type { View } from "../../frame/view.ts";

export const inspection: View = {
  path: "/inspection",
  title: (words) => words.inspection.title,
  group: "network",
  permission: "look",
  component: () => import("./Inspection.svelte"),
};
