import type { View } from "../../frame/view.ts";

export const history: View = {
  path: "/history/:number?",
  title: (words) => words.history.title,
  group: "policy",
  permission: "look",
  component: () => import("./History.svelte"),
};
