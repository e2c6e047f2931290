import type { View } from "../../frame/view.ts";

export const audit: View = {
  path: "/audit",
  title: (words) => words.records.audit,
  group: "records",
  permission: "audit",
  component: () => import("./Audit.svelte"),
};

export const consumers: View = {
  path: "/consumers",
  title: (words) => words.records.consumers,
  group: "records",
  permission: "look",
  component: () => import("./Consumers.svelte"),
};
