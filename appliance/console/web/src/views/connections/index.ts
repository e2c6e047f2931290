import type { View } from "../../frame/view.ts";

export const connections: View = {
  path: "/connections",
  title: (words) => words.connections.title,
  group: "network",
  permission: "look",
  component: () => import("./Connections.svelte"),
};
