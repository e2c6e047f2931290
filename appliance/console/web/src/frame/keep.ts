// What this browser remembers of a person's wishes. A browser that keeps nothing is no error.

export function kept<T extends string>(name: string, among: readonly T[], otherwise: T): T {
  try {
    const value = window.localStorage.getItem(`reef.${name}`);
    return among.find((one) => one === value) ?? otherwise;
  } catch (error) {
    if (error instanceof DOMException) return otherwise;
    throw error;
  }
}

export function keep(name: string, value: string): void {
  try {
    window.localStorage.setItem(`reef.${name}`, value);
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
  }
}
