import type { View } from "../../frame/view.ts";

export const account: View = {
  path: "/account",
  title: (words) => words.account.title,
  group: "people",
  permission: "look",
  component: () => import("./Account.svelte"),
};

export const people: View = {
  path: "/people",
  title: (words) => words.account.people,
  group: "people",
  permission: "administer",
  component: () => import("./People.svelte"),
};
