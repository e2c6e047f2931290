// What a view is: one folder, and one line in views.ts.

import type { Component } from "svelte";
import type { Permission } from "../api/types.ts";
import type { Words } from "../words/en.ts";
import type { Params } from "./routes.ts";

export interface View {
  /** "/history/:number?": its address; what begins with ":" is a parameter, "?" says that it may be missing. */
  path: string;
  title: (words: Words) => string;
  /** The group of the navigation it stands in; "" for a view that is reached from others only. */
  group: keyof Words["frame"]["groups"] | "";
  permission: Permission;
  /** A component that takes the parameters of the address, or nothing. */
  component: () => Promise<{ default: Component<{ params: Params }> | Component<Record<string, never>> }>;
}
