// What is known of the gateway, and since when it is not.

import { get, gatewayNow, watchWay } from "../api/client.ts";
import { on, watchLive } from "../api/live.ts";
import { Problem } from "../api/problem.ts";
import type { AlertsNow, Status } from "../api/types.ts";

// ms between questions while the stream is away. While it is there nothing is asked: a page that nobody uses must not
// keep a session from ending.
const EVERY = 5_000;
const PATIENCE = 10_000; // ms that the stream may be away before a person is told

class Gateway {
  status = $state.raw<Status | null>(null);
  /** How many alerts came, and whether that is known; null before anything was said of them. */
  alerts = $state.raw<AlertsNow | null>(null);
  lost = $state(false);
  heard = $state(0); // ms by this browser's clock; 0: never
  used = $state(0); // ms; when the session was last used
  streaming = $state(false);
  /** Changes have not come by themselves for a while: what lists show may be old. */
  apart = $state(false);
  /** The gateway's clock, in seconds since the epoch; moves every second. */
  now = $state(Date.now() / 1000);
  #timer = 0;
  #broke = Date.now(); // when the stream ended, or somebody came back to the page
  #begun = false;

  begin(): void {
    if (this.#begun) {
      void this.ask();
      return;
    }
    this.#begun = true;
    watchWay((way) => {
      this.lost = way.lost;
      this.heard = way.heard;
      this.used = way.used;
    });
    watchLive((connected) => {
      const came = connected && !this.streaming;
      this.streaming = connected;
      this.apart = false;
      this.#broke = Date.now();
      if (came || !connected) void this.ask();
    });
    on("reset", () => void this.ask());
    on<Status>("status", (status) => (this.status = status));
    on<AlertsNow>("alert", (alerts) => (this.alerts = alerts));
    document.addEventListener("visibilitychange", () => (this.#broke = Date.now()));
    window.setInterval(() => {
      this.now = gatewayNow();
      this.apart = !this.streaming && Date.now() - this.#broke > PATIENCE;
    }, 1000);
    void this.ask();
  }

  async ask(): Promise<void> {
    window.clearTimeout(this.#timer);
    try {
      this.status = await get<Status>("/status");
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (problem.status === 401) return; // nobody is signed in any more; begin() goes on when somebody is
    }
    if (!this.streaming) this.#timer = window.setTimeout(() => void this.ask(), EVERY);
  }
}

export const gateway = new Gateway();
