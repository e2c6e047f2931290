// Which lines of a very long list are drawn, and where. Pure.

/** Browsers draw nothing beyond some 16 million pixels; a longer list is scrolled through in larger steps. */
export const TALLEST = 8_000_000;

export interface Window {
  first: number; // the first line drawn
  count: number; // how many
  top: number; // where the first one is drawn, in pixels from the top of the scrolled content
  height: number; // of the scrolled content
}

/**
 * @param scrolled how far down the content is scrolled, in pixels
 * @param visible height of what can be seen, in pixels
 * @param lines how many there are
 * @param line height of one, in pixels
 * @param spare lines drawn beyond each end, so that a scroll shows no gap
 */
export function windowOf(scrolled: number, visible: number, lines: number, line: number, spare: number): Window {
  const real = lines * line;
  const height = Math.min(real, TALLEST);
  const most = Math.max(0, height - visible);
  const at = Math.min(Math.max(0, scrolled), most);
  // In a list that is too tall the share of the way counts, not the pixels.
  const virtual = real > TALLEST && most > 0 ? (at / most) * (real - visible) : at;
  const first = Math.max(0, Math.floor(virtual / line) - spare);
  const last = Math.min(lines, Math.ceil((virtual + visible) / line) + spare);
  return { first, count: Math.max(0, last - first), top: at - (virtual - first * line), height };
}

/** Where to scroll so that line `index` is wholly seen; null when it is already. */
export function scrollTo(
  index: number,
  scrolled: number,
  visible: number,
  lines: number,
  line: number,
): number | null {
  const real = lines * line;
  const height = Math.min(real, TALLEST);
  const most = Math.max(0, height - visible);
  const virtual = real > TALLEST && most > 0 ? (Math.min(scrolled, most) / most) * (real - visible) : scrolled;
  const above = index * line;
  const below = above + line - visible;
  const wanted = above < virtual ? above : below > virtual ? below : null;
  if (wanted === null) return null;
  const share = real > TALLEST && real > visible ? (wanted / (real - visible)) * most : wanted;
  return Math.max(0, Math.min(most, share));
}
