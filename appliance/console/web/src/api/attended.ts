// Whether somebody is at the screen. The gateway ends a session that is not used, and what a page asks by itself (a list
// anew because something happened) is no use: such requests say so.

const GONE_AFTER = 60_000; // ms without a key, a finger or a mouse

export const UNATTENDED = "X-Reef-Unattended";

let acted = Date.now(); // somebody opened the page

export function act(now = Date.now()): void {
  acted = now;
}

export function attended(now = Date.now()): boolean {
  return now - acted < GONE_AFTER;
}

export function watchHands(target: EventTarget): void {
  for (const kind of ["keydown", "pointerdown", "wheel", "input"]) {
    target.addEventListener(kind, () => act(), { capture: true, passive: true });
  }
}
