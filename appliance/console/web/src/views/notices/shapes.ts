// What the API says of notices to owners, as this view wants it.

export interface Notice {
  number: number;
  owner: string;
  kind: "expires" | "ended" | "review" | "proposed" | "applied" | "rolled-back";
  subject: string;
  words: string;
  told: number; // seconds since the epoch
  due: number; // the moment it is about, 0 for none
  proposal: number;
  generation: number;
}

/** `seen` is the number up to which who asks has seen theirs, `unseen` how many came behind it. */
export interface Notices {
  notices: Notice[];
  seen: number;
  unseen: number;
}
