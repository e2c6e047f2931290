import type { View } from "../../frame/view.ts";

export const alerts: View = {
  path: "/alerts",
  title: (words) => words.alerts.title,
  group: "now",
  permission: "look",
  component: () => import("./Alerts.svelte"),
};
