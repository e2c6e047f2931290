import type { View } from "../../frame/view.ts";

export const devices: View = {
  path: "/devices",
  title: (words) => words.devices.title,
  group: "network",
  permission: "look",
  component: () => import("./Devices.svelte"),
};
