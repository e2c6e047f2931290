import type { View } from "../../frame/view.ts";

export const overview: View = {
  path: "/",
  title: (words) => words.overview.title,
  group: "now",
  permission: "look",
  component: () => import("./Overview.svelte"),
};
