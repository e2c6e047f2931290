import type { View } from "../../frame/view.ts";

export const bans: View = {
  path: "/bans",
  title: (words) => words.bans.title,
  group: "network",
  permission: "look",
  component: () => import("./Bans.svelte"),
};
