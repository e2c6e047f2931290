// What is known of the gateway, and since when it is not.

import { get, gatewayNow, watchWay } from "../api/client.ts";
import { on, watchLive } from "../api/live.ts";
import { Problem } from "../api/problem.ts";
import type { Status } from "../api/types.ts";

const EVERY = 5_000; // ms between questions while the stream is away
const SLOWLY = 60_000; // ms between questions while it is there

class Gateway {
  status = $state.raw<Status | null>(null);
  lost = $state(false);
  heard = $state(0); // ms by this browser's clock; 0: never
  streaming = $state(false);
  /** The gateway's clock, in seconds since the epoch; moves every second. */
  now = $state(Date.now() / 1000);
  #timer = 0;
  #ticker = 0;

  begin(): void {
    watchWay((way) => {
      this.lost = way.lost;
      this.heard = way.heard;
    });
    watchLive((connected) => {
      const came = connected && !this.streaming;
      this.streaming = connected;
      if (came) void this.ask();
    });
    on<Status>("status", (status) => (this.status = status));
    window.clearInterval(this.#ticker);
    this.#ticker = window.setInterval(() => (this.now = gatewayNow()), 1000);
    void this.ask();
  }

  async ask(): Promise<void> {
    window.clearTimeout(this.#timer);
    try {
      this.status = await get<Status>("/status");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
    }
    this.#timer = window.setTimeout(() => void this.ask(), this.streaming ? SLOWLY : EVERY);
  }
}

export const gateway = new Gateway();
