// Whether a plan would work if it were needed now, as far as it can be told from what is known.

import { list } from "../api";
import { duration, type Tone, words } from "../format";
import type { Backup, Plan, PlanStep } from "../types";

// When the newest good backup of a type was taken; null where there is none.
export type Newest = Map<string, string | null>;

// The types of backups that a plan's steps restore.
export function restored(plan: Plan): string[] {
  return [...new Set(plan.steps.flatMap((step) => /^restore_backup:([A-Z]+)$/.exec(step.command)?.[1] ?? []))];
}

export async function newestGood(types: string[], signal: AbortSignal): Promise<Newest> {
  const found = await Promise.all(
    types.map(async (type) => {
      const pages = await Promise.all(
        ["VERIFIED", "COMPLETED"].map((status) => list<Backup>("/api/backups", { type, status, pageSize: 1 }, signal)),
      );
      const times = pages.flatMap((page) => page.items[0]?.createdAt ?? []).sort();
      return [type, times[times.length - 1] ?? null] as const;
    }),
  );
  return new Map(found);
}

export type Reason = { tone: Tone; text: string };

// Minutes along the longest way through the steps.
export function longestWay(steps: PlanStep[]): number {
  const ends = new Map<string, number>();
  const known = new Map(steps.map((step) => [step.id, step]));
  const endOf = (step: PlanStep, seen: string[]): number => {
    const before = ends.get(step.id);
    if (before !== undefined || seen.includes(step.id)) return before ?? 0;
    const needed = step.dependencies.flatMap((id) => known.get(id) ?? []);
    const end = step.estimatedDuration + Math.max(0, ...needed.map((one) => endOf(one, [...seen, step.id])));
    ends.set(step.id, end);
    return end;
  };
  return Math.max(0, ...steps.map((step) => endOf(step, [])));
}

export function readiness(plan: Plan, newest: Newest): { tone: Tone; sentence: string; reasons: Reason[] } {
  const reasons: Reason[] = [];
  const reason = (tone: Tone, text: string) => reasons.push({ tone, text });
  if (plan.status === "INACTIVE") reason("warn", "The plan is not active.");
  if (plan.verified) reason("good", `Version ${plan.version} has passed its last test.`);
  else if (plan.lastTestedAt)
    reason("warn", `Version ${plan.version} has not passed a test: it was changed since, or its last test did not pass.`);
  else reason("bad", "The plan has never been tested.");
  if (plan.nextTestDate && Date.parse(plan.nextTestDate) < Date.now()) reason("warn", "Its next test is overdue.");
  const long = longestWay(plan.steps);
  if (long > plan.recoveryTimeObjective) {
    reason(
      "bad",
      `Its steps are estimated at ${duration(long * 60)}, longer than the objective of ${duration(plan.recoveryTimeObjective * 60)}.`,
    );
  } else if (long > 0) {
    reason(
      "good",
      `Its steps are estimated at ${duration(long * 60)}, within the objective of ${duration(plan.recoveryTimeObjective * 60)}.`,
    );
  }
  for (const type of restored(plan)) {
    const time = newest.get(type);
    if (time === undefined) continue;
    if (time === null) {
      reason("bad", `${words(type)}: there is no good backup to restore.`);
      continue;
    }
    const age = (Date.now() - Date.parse(time)) / 1000;
    if (age > plan.recoveryPointObjective * 60) {
      reason(
        "warn",
        `${words(type)}: the newest good backup is ${duration(age)} old; the objective is ${duration(plan.recoveryPointObjective * 60)}.`,
      );
    } else reason("good", `${words(type)}: the newest good backup is within the objective.`);
  }
  if (plan.contacts.length === 0) reason("warn", "It names nobody to be told.");
  const worst = reasons.some((one) => one.tone === "bad") ? "bad" : reasons.some((one) => one.tone === "warn") ? "warn" : "good";
  const sentence = { good: "Ready", warn: "Ready, with reservations", bad: "Not ready" }[worst];
  return { tone: worst, sentence, reasons };
}
