import type { View } from "../../frame/view.ts";

export const notices: View = {
  path: "/notices",
  title: (words) => words.notices.title,
  group: "now",
  permission: "look",
  component: () => import("./Notices.svelte"),
};
