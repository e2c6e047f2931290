import type { View } from "../../frame/view.ts";

export const text: View = {
  path: "/text",
  title: (words) => words.workshop.views.text,
  group: "policy",
  permission: "look",
  component: () => import("./Text.svelte"),
};
