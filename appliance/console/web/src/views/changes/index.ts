import type { View } from "../../frame/view.ts";

/** /changes is the list, /changes/12 a proposal, /changes/draft/<id> a draft and what it would do. */
export const changes: View = {
  path: "/changes/:what?/:id?",
  title: (words) => words.workshop.views.changes,
  group: "policy",
  permission: "look",
  component: () => import("./Changes.svelte"),
};
