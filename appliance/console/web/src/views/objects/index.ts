import type { View } from "../../frame/view.ts";

export const objects: View = {
  path: "/objects",
  title: (words) => words.workshop.views.objects,
  group: "policy",
  permission: "look",
  component: () => import("./Objects.svelte"),
};
