// The words of notices to owners.

export const noticesEn = {
  notices: {
    title: "Notices",
    kind: "What happened",
    what: "In words",
    about: "About",
    owner: "Owner",
    told: "Told",
    everybody: "Those of all owners",
    see: (count: number) => (count === 1 ? "I have seen the new one" : `I have seen the ${count} new ones`),
    unseen: (count: number) =>
      count === 1 ? "1 new notice on what is yours" : `${count} new notices on what is yours`,
    none: "Nothing to tell",
    noneWords: "You are told here when something of yours ends, waits for a review, is to change, or was changed.",
    kinds: {
      expires: "ends soon",
      ended: "has ended",
      review: "look at it again",
      proposed: "to be changed",
      applied: "was changed",
      "rolled-back": "taken back",
    },
  },
};
