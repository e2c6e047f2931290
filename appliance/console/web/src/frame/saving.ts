// What the gateway gave becomes a file of the person's.

const READ_WITHIN = 60_000; // ms; some browsers begin to read it after the click

export function save(data: Blob, name: string): void {
  const address = URL.createObjectURL(data);
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  window.setTimeout(() => URL.revokeObjectURL(address), READ_WITHIN);
}
