// Who is signed in, and what they may.

import { get, watchEnded } from "../api/client.ts";
import { startLive, stopLive } from "../api/live.ts";
import { Problem } from "../api/problem.ts";
import type { Me, Permission } from "../api/types.ts";

class Session {
  me = $state.raw<Me | null>(null);
  ended = $state(false);
  failed = $state.raw<Problem | null>(null);

  constructor() {
    watchEnded(() => {
      if (this.me) this.ended = true;
      else window.location.assign(this.signInAddress());
      stopLive();
    });
  }

  /** Ask who is signed in. Without anybody the page goes to the sign-in page, unless it was in use: then it says so. */
  async ask(): Promise<void> {
    try {
      this.me = await get<Me>("/me");
      this.failed = null;
      this.ended = false;
      startLive();
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.failed = problem;
    }
  }

  may(permission: Permission): boolean {
    return this.me?.permissions.includes(permission) ?? false;
  }

  signInAddress(): string {
    return `/login?next=${encodeURIComponent(window.location.pathname + window.location.search)}`;
  }
}

export const session = new Session();
