import type { View } from "../../frame/view.ts";

export const lines: View = {
  path: "/lines/:name?",
  title: (words) => words.lines.title,
  group: "now",
  permission: "look",
  component: () => import("./Lines.svelte"),
};
