import assert from "node:assert/strict";
import { test } from "node:test";

import type { Permission } from "../api/types.ts";
import { needsMe, stepsOf } from "./proposals.ts";
import type { Proposal, ProposalShown } from "./shapes.ts";

function proposal(said: Partial<Proposal> = {}): Proposal {
  return {
    number: 1,
    title: "",
    why: "",
    ticket: "",
    author: "amara",
    base: 1,
    digest: "d",
    state: "proposed",
    created: 1,
    approvals: 0,
    needed: 1,
    at: 0,
    changed: 1,
    generation: 0,
    note: "",
    writers: ["amara"],
    agreed: [],
    ...said,
  };
}

function shown(said: Partial<Proposal> = {}, more: Partial<ProposalShown> = {}): ProposalShown {
  const history = [{ at: 1, person: "amara", action: "propose", words: "" }];
  return {
    proposal: proposal(said),
    text: "",
    base_text: "",
    planned: null,
    findings: [],
    comments: [],
    approvals: [],
    history,
    ...more,
  };
}

const may =
  (...given: Permission[]) =>
  (permission: Permission) =>
    given.includes(permission);
const approver = may("look", "approve", "apply");
const editor = may("look", "edit");

test("another approves, nobody their own work, and nobody twice", () => {
  assert.equal(stepsOf(shown(), "ben", approver).approve, true);
  const own = stepsOf(shown(), "amara", approver);
  assert.deepEqual([own.approve, own.own], [false, true]);
  const amended = { at: 2, person: "ben", action: "amend", words: "" };
  assert.equal(stepsOf(shown({}, { history: [amended] }), "ben", approver).approve, false);
  const given = { person: "ben", at: 2, words: "", digest: "d", holds: true };
  assert.equal(stepsOf(shown({}, { approvals: [given] }), "ben", approver).approve, false);
  assert.equal(stepsOf(shown({}, { approvals: [{ ...given, holds: false }] }), "ben", approver).approve, true);
  assert.equal(stepsOf(shown(), "cleo", editor).approve, false);
});

test("it is applied when enough have agreed, by who may", () => {
  assert.equal(stepsOf(shown(), "ben", approver).apply, false);
  assert.equal(stepsOf(shown({ state: "approved", approvals: 1 }), "ben", approver).apply, true);
  assert.equal(stepsOf(shown({ needed: 0 }), "ben", approver).apply, true);
  assert.equal(stepsOf(shown({ state: "approved", approvals: 1 }), "amara", editor).apply, false);
  assert.equal(stepsOf(shown({ state: "confirmed", approvals: 1 }), "ben", approver).apply, false);
});

test("what waits for a person is said to that person alone", () => {
  assert.equal(needsMe(proposal(), "ben", approver), true);
  assert.equal(needsMe(proposal(), "amara", approver), false);
  assert.equal(needsMe(proposal({ writers: ["amara", "ben"] }), "ben", approver), false);
  assert.equal(needsMe(proposal({ needed: 2, approvals: 1, agreed: ["ben"] }), "ben", approver), false);
  assert.equal(needsMe(proposal({ state: "stale" }), "amara", editor), true);
  assert.equal(needsMe(proposal({ state: "approved" }), "amara", editor), false);
  assert.equal(needsMe(proposal({ state: "confirmed" }), "ben", approver), false);
});
