import { list } from "../api";
import { useMay } from "../caller";
import { count, duration, words } from "../format";
import { Icon } from "../icons";
import { useData } from "../live";
import { to } from "../router";
import type { Execution, Plan } from "../types";
import { Badge, Card, Empty, LinkButton, Loading, PageHead, Problem, When } from "../ui";
import { newestGood, readiness, restored } from "./readiness";

export function PlansPage() {
  const may = useMay();
  const plans = useData("plans", (signal) => list<Plan>("/api/disaster-recovery/plans", { pageSize: 200 }, signal), 20000);
  const runs = useData("runs", (signal) => list<Execution>("/api/disaster-recovery/executions", { pageSize: 10 }, signal), 10000);
  const types = [...new Set((plans.data?.items ?? []).flatMap(restored))];
  const newest = useData(types.join(" "), (signal) => newestGood(types, signal), 30000);
  const edit = may("DisasterRecoveryService.CreatePlan") && !plans.error?.absent;
  return (
    <>
      <PageHead title="Recovery">
        {edit && (
          <LinkButton kind="main" icon="plus" href={to("recovery", "new")}>
            New plan
          </LinkButton>
        )}
      </PageHead>
      {plans.error && !plans.data && (
        <Card>
          <Problem error={plans.error} what="Disaster recovery" retry={plans.reload} />
        </Card>
      )}
      {plans.loading && !plans.data && <Loading />}
      {plans.data?.items.length === 0 && (
        <Card>
          <Empty icon="recovery" title="There is no recovery plan yet.">
            {edit ? (
              <>
                <p>
                  A plan says step by step how this shop comes back, and is tested before it is needed. New plan begins with a proposal for
                  what is configured here.
                </p>
                <LinkButton kind="main" icon="plus" href={to("recovery", "new")}>
                  New plan
                </LinkButton>
              </>
            ) : (
              "An administrator can make one."
            )}
          </Empty>
        </Card>
      )}
      <div class="sources">
        {plans.data?.items.map((plan) => {
          const ready = readiness(plan, newest.data ?? new Map());
          return (
            <Card key={plan.id} class="source">
              <header>
                <h2>
                  <a href={to("recovery", plan.id)}>{plan.name}</a>
                </h2>
                <Badge word={plan.priority} as={plan.priority === "CRITICAL" ? "bad" : plan.priority === "HIGH" ? "warn" : "quiet"} />
              </header>
              <p class={`verdict-line text-${ready.tone}`}>
                <Icon name={ready.tone === "good" ? "shield" : "alert"} size={16} /> {ready.sentence}
              </p>
              <p class="muted">
                {count(plan.steps.length, "step")} · back within {duration(plan.recoveryTimeObjective * 60)}, losing at most{" "}
                {duration(plan.recoveryPointObjective * 60)}
              </p>
              <p class="muted">
                Last tested <When time={plan.lastTestedAt} relative />
                {plan.nextTestDate && (
                  <>
                    , next <When time={plan.nextTestDate} relative />
                  </>
                )}
              </p>
            </Card>
          );
        })}
      </div>
      {runs.data && runs.data.items.length > 0 && (
        <Card title="Runs">
          <Runs runs={runs.data.items} plans={plans.data?.items ?? []} />
        </Card>
      )}
    </>
  );
}

export function Runs({ runs, plans }: { runs: Execution[]; plans: Plan[] }) {
  return (
    <ul class="rows">
      {runs.map((run) => (
        <li key={run.id}>
          <a class="row" href={to("recovery", "runs", run.id)}>
            <span class="grow">
              <span class="strong">{plans.find((plan) => plan.id === run.planId)?.name ?? run.reason ?? "Run"}</span>
              <span class="muted">
                {run.kind ? `${words(run.kind)} · ` : ""}
                {run.reason ? `${run.reason} · ` : ""}
                <When time={run.triggeredAt} relative /> by {run.triggeredBy}
              </span>
            </span>
            <span class="muted number">{run.completedAt ? duration(run.duration * 60) : ""}</span>
            <Badge word={run.status} />
          </a>
        </li>
      ))}
    </ul>
  );
}
