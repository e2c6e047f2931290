import type { View } from "../../frame/view.ts";

export const report: View = {
  path: "/report",
  title: (words) => words.report.title,
  group: "records",
  permission: "look",
  component: () => import("./Report.svelte"),
};
