// Whether a plan would work if it were needed now, as far as it can be told from what is known.
import { duration, type Tone, words } from "../format";
import type { Plan, PlanStep, SourceStatus } from "../types";

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

export function readiness(plan: Plan, sources: SourceStatus[]): { tone: Tone; sentence: string; reasons: Reason[] } {
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
  const wanted = plan.backupTypes.some((type) => ["FULL", "INCREMENTAL", "DIFFERENTIAL"].includes(type))
    ? sources
    : sources.filter((source) => plan.backupTypes.includes(source.type));
  for (const source of wanted) {
    if (!source.newestGoodBackupAt) reason("bad", `${words(source.type)}: there is no good backup to restore.`);
    else if (source.recoveryPointAge > plan.recoveryPointObjective) {
      reason(
        "warn",
        `${words(source.type)}: the newest good backup is ${duration(source.recoveryPointAge * 60)} old; the objective is ${duration(plan.recoveryPointObjective * 60)}.`,
      );
    } else reason("good", `${words(source.type)}: the newest good backup is within the objective.`);
  }
  if (plan.contacts.length === 0) reason("warn", "It names nobody to be told.");
  const worst = reasons.some((one) => one.tone === "bad") ? "bad" : reasons.some((one) => one.tone === "warn") ? "warn" : "good";
  const sentence = { good: "Ready", warn: "Ready, with reservations", bad: "Not ready" }[worst];
  return { tone: worst, sentence, reasons };
}
