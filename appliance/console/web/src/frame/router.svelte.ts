// Where the person is: the address bar, as state.

class Place {
  path = $state(window.location.pathname);
  query = $state.raw(new URLSearchParams(window.location.search));
  #leaving = new Set<() => boolean>();

  constructor() {
    window.addEventListener("popstate", () => this.#take());
    document.addEventListener("click", (event) => this.#click(event));
  }

  #take(): void {
    this.path = window.location.pathname;
    this.query = new URLSearchParams(window.location.search);
  }

  /** Ordinary clicks on links into the console stay in this page. */
  #click(event: MouseEvent): void {
    if (
      event.defaultPrevented ||
      event.button !== 0 ||
      event.metaKey ||
      event.ctrlKey ||
      event.shiftKey ||
      event.altKey
    )
      return;
    const link = event.composedPath().find((node) => node instanceof HTMLAnchorElement);
    if (!link || link.target || link.hasAttribute("download") || link.dataset["outside"] !== undefined) return;
    const url = new URL(link.href, window.location.href);
    if (url.origin !== window.location.origin || url.hash || /^\/(api|login|logout|invitation)\b/.test(url.pathname))
      return;
    event.preventDefault();
    this.go(url.pathname + url.search);
  }

  /** Go to an address of the console. `replace`: without a step in the browser's history. */
  go(address: string, replace = false): void {
    const url = new URL(address, window.location.href);
    if (url.pathname !== this.path) {
      for (const may of this.#leaving) if (!may()) return;
    }
    if (replace) window.history.replaceState(null, "", url);
    else window.history.pushState(null, "", url);
    this.#take();
  }

  /** Set or take away parameters of the address (a filter, a chosen row), without a step in the history. */
  ask(changes: Record<string, string | null>): void {
    const query = new URLSearchParams(this.query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") query.delete(name);
      else query.set(name, value);
    }
    const text = query.toString();
    this.go(this.path + (text ? `?${text}` : ""), true);
  }

  /** Ask `may` before another view is gone to; it says false to stay. Returns how to stop asking. */
  beforeLeaving(may: () => boolean): () => void {
    this.#leaving.add(may);
    return () => this.#leaving.delete(may);
  }
}

export const place = new Place();
