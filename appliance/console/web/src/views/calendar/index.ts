import type { View } from "../../frame/view.ts";

export const calendar: View = {
  path: "/calendar",
  title: (words) => words.workshop.views.calendar,
  group: "policy",
  permission: "look",
  component: () => import("./Calendar.svelte"),
};
