// What may be done with a proposal, and by whom. Pure; the gateway asks the same again.

import type { Permission } from "../api/types.ts";
import type { Proposal, ProposalShown, ProposalState } from "./shapes.ts";

/** Proposals that wait for somebody. */
export const OPEN: ReadonlySet<ProposalState> = new Set(["proposed", "approved", "scheduled", "applied", "stale"]);

/** How a state looks. */
export function shapeOf(state: ProposalState): "good" | "warn" | "bad" | "busy" | "off" {
  if (state === "confirmed" || state === "approved") return "good";
  if (state === "proposed" || state === "stale") return "warn";
  if (state === "scheduled" || state === "applied") return "busy";
  return state === "rejected" || state === "rolled-back" ? "bad" : "off";
}

type May = (permission: Permission) => boolean;

/** What a person may do with a proposal now. */
export interface Steps {
  readonly approve: boolean;
  /** They would approve, but it is their own work. */
  readonly own: boolean;
  readonly reject: boolean;
  readonly amend: boolean;
  readonly withdraw: boolean;
  readonly schedule: boolean;
  readonly apply: boolean;
  readonly comment: boolean;
}

export function stepsOf(shown: ProposalShown, me: string, may: May): Steps {
  const { proposal } = shown;
  const waits = proposal.state === "proposed" || proposal.state === "approved" || proposal.state === "scheduled";
  const wrote = shown.history.some((step) => step.person === me && /^(?:propose|amend)$/.test(step.action));
  const own = proposal.author === me || wrote;
  const gave = shown.approvals.some((one) => one.person === me && one.holds);
  const ready = proposal.approvals >= proposal.needed && waits;
  return {
    approve: waits && may("approve") && !own && !gave && proposal.needed > 0,
    own: waits && may("approve") && own && proposal.needed > 0,
    reject: waits && may("approve"),
    amend: (waits || proposal.state === "stale") && (may("edit") || may("approve")),
    withdraw: (waits || proposal.state === "stale") && may("edit") && proposal.author === me,
    schedule: waits && may("apply"),
    apply: ready && may("apply"),
    comment: may("edit") || may("approve"),
  };
}

/** Whether it is neither their own work nor approved by them already. */
export function mayAgree(proposal: Proposal, me: string): boolean {
  return ![...proposal.writers, ...proposal.agreed].includes(me);
}

/** Whether a proposal waits for this person. */
export function needsMe(proposal: Proposal, me: string, may: May): boolean {
  if (proposal.state === "proposed") return may("approve") && mayAgree(proposal, me);
  if (proposal.state === "approved" || proposal.state === "applied") return may("apply");
  return proposal.state === "stale" && proposal.author === me;
}
