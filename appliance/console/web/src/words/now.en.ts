// The words of the overview, health and history.

export const nowEn = {
  overview: {
    title: "Overview",
    wrong: "What is wrong now",
    allWell: "Nothing is wrong that the gateway knows of",
    stopped: (process: string) => `${process} does not run`,
    drift: "The kernel does not hold what the generation says",
    omitted: (count: number) =>
      count === 1 ? "One thing is left out on this kernel" : `${count} things are left out on this kernel`,
    needs: "What needs you",
    nothingNeeds: "Nothing waits for you",
    toApprove: (number: number, title: string) => `Proposal ${number} waits for an approval: ${title}`,
    toApply: (number: number, title: string) => `Proposal ${number} is approved and not applied: ${title}`,
    toConfirm: (generation: number) => `Generation ${generation} waits to be confirmed`,
    drafts: (title: string) => `Your draft: ${title}`,
    changed: "What changed",
    nothingChanged: "No generation yet",
    all: "Everything that changed",
    generation: (generation: number) => `Generation ${generation}`,
    runs: "Runs",
    noPolicy: "No policy runs: the gateway is closed",
    by: (person: string) => `by ${person}`,
  },
  health: {
    title: "Health",
    processes: "Processes",
    process: "Process",
    state: "State",
    words: "What it says",
    runs: "runs",
    stopped: "does not run",
    kernel: "What the kernel runs",
    agrees: "The kernel holds what the generation says",
    differs: "The kernel does not hold what the generation says",
    omitted: "Left out on this kernel",
    nothingOmitted: "Nothing of the policy is left out",
    problems: "What needs somebody",
    nothing: "Nothing",
    generation: "Generation",
    confirmed: "Confirmed",
    notConfirmed: "waits to be confirmed",
    site: "Site",
  },
  history: {
    title: "History",
  },
};

export type NowWords = typeof nowEn;
