import { useState } from "preact/hooks";
import { get, list, post, remove, sentence } from "../api";
import { useMay } from "../caller";
import { duration, words } from "../format";
import { Graph } from "../graph";
import { Icon } from "../icons";
import { useData } from "../live";
import { go, to } from "../router";
import type { Execution, Plan, TestResult } from "../types";
import {
  Badge,
  Button,
  Card,
  Check,
  Code,
  Confirm,
  Dialog,
  Empty,
  Facts,
  LinkButton,
  Loading,
  Note,
  PageHead,
  Problem,
  Select,
  say,
  TextArea,
  useTask,
  When,
} from "../ui";
import { Runs } from "./plans";
import { newestGood, readiness, restored } from "./readiness";

export function PlanPage({ id }: { id: string }) {
  const may = useMay();
  const path = `/api/disaster-recovery/plans/${encodeURIComponent(id)}`;
  const plan = useData(path, (signal) => get<Plan>(path, {}, signal), 20000);
  const runs = useData(
    `runs of ${id}`,
    (signal) => list<Execution>("/api/disaster-recovery/executions", { planId: id, pageSize: 20 }, signal),
    10000,
  );
  const tests = useData(
    `tests of ${id}`,
    (signal) => list<TestResult>("/api/disaster-recovery/tests", { planId: id, pageSize: 20 }, signal),
    10000,
  );
  const [asking, setAsking] = useState<"" | "run" | "test" | "delete">("");
  const one = plan.data;
  const types = one ? restored(one) : [];
  const newest = useData(types.join(" "), (signal) => newestGood(types, signal), 30000);
  const back = { href: to("recovery"), label: "Recovery" };
  if (!one) {
    return (
      <>
        <PageHead title="Plan" back={back} />
        {plan.error ? <Problem error={plan.error} what="Disaster recovery" retry={plan.reload} /> : <Loading />}
      </>
    );
  }
  const ready = readiness(one, newest.data ?? new Map());
  return (
    <>
      <PageHead title={one.name} back={back} status={<Badge word={one.status} />}>
        {may("DisasterRecoveryService.DeletePlan") && (
          <Button kind="quiet" icon="trash" onClick={() => setAsking("delete")}>
            Delete
          </Button>
        )}
        {may("DisasterRecoveryService.UpdatePlan") && <LinkButton href={to("recovery", id, "edit")}>Edit</LinkButton>}
        {may("DisasterRecoveryService.TestPlan") && (
          <Button icon="shield" onClick={() => setAsking("test")}>
            Test
          </Button>
        )}
        {may("DisasterRecoveryService.ExecutePlan") && (
          <Button kind="danger" icon="play" onClick={() => setAsking("run")}>
            Run the recovery
          </Button>
        )}
      </PageHead>
      {one.description && <p class="lead">{one.description}</p>}
      <div class="columns">
        <Card title="Readiness">
          <p class={`verdict-line big text-${ready.tone}`}>
            <Icon name={ready.tone === "good" ? "shield" : "alert"} size={24} /> {ready.sentence}
          </p>
          <ul class="checks">
            {ready.reasons.map((reason) => (
              <li key={reason.text} class={`text-${reason.tone}`}>
                <Icon name={reason.tone === "good" ? "check" : "alert"} size={15} /> <span>{reason.text}</span>
              </li>
            ))}
          </ul>
        </Card>
        <Card title="Plan">
          <Facts
            rows={[
              ["Priority", words(one.priority)],
              ["Back within", duration(one.recoveryTimeObjective * 60)],
              ["Losing at most", duration(one.recoveryPointObjective * 60)],
              ["Restores", one.backupTypes.map(words).join(", ") || "—"],
              ["Version", String(one.version)],
              ["Last tested", <When key="t" time={one.lastTestedAt} />],
              ["Next test", <When key="n" time={one.nextTestDate} none="not planned" />],
              one.contacts.length > 0 && [
                "Told",
                one.contacts.map((contact) => `${contact.name}${contact.role ? ` (${contact.role})` : ""}`).join(", "),
              ],
            ]}
          />
        </Card>
      </div>
      <Card title="Steps">
        <Graph steps={one.steps} />
        <ol class="steps">
          {[...one.steps]
            .sort((a, b) => a.order - b.order)
            .map((step) => (
              <li key={step.id}>
                <div class="grow">
                  <p class="strong">{step.name}</p>
                  {step.description && <p class="muted">{step.description}</p>}
                  {step.validationCriteria.length > 0 && (
                    <p class="muted">
                      Proved by{" "}
                      {step.validationCriteria.map((criterion) => (
                        <Code key={criterion}>{criterion}</Code>
                      ))}
                    </p>
                  )}
                </div>
                <div class="aside">
                  {step.automated ? (
                    <Code>{step.command}</Code>
                  ) : (
                    <span class="tag">By a person{step.assignee ? `: ${step.assignee}` : ""}</span>
                  )}
                  {step.estimatedDuration > 0 && <span class="muted">{duration(step.estimatedDuration * 60)}</span>}
                </div>
              </li>
            ))}
        </ol>
      </Card>
      <div class="columns">
        <Card title="Tests">
          {tests.error && !tests.data && <Problem error={tests.error} retry={tests.reload} />}
          {tests.data?.items.length === 0 && (
            <Empty icon="shield" title="It has never been tested.">
              A test rehearses the steps in a place of its own, and touches nothing that is in use.
            </Empty>
          )}
          <ul class="rows">
            {tests.data?.items.map((test) => (
              <li key={test.id}>
                <a class="row" href={to("recovery", "runs", test.executionId)}>
                  <span class="grow">
                    <span class="strong">{words(test.environment)}</span>
                    <span class="muted">
                      <When time={test.testedAt} relative /> by {test.testedBy}
                    </span>
                    {test.recommendations.map((text) => (
                      <span class="muted" key={text}>
                        {sentence(text)}
                      </span>
                    ))}
                  </span>
                  <Badge word={test.overallStatus} />
                </a>
              </li>
            ))}
          </ul>
        </Card>
        <Card title="Runs">
          {runs.error && !runs.data && <Problem error={runs.error} retry={runs.reload} />}
          {runs.data?.items.length === 0 && <Empty icon="recovery" title="It has never been run." />}
          {runs.data && <Runs runs={runs.data.items} plans={[one]} />}
        </Card>
      </div>
      {asking === "run" && <Run plan={one} onClose={() => setAsking("")} />}
      {asking === "test" && <Test plan={one} onClose={() => setAsking("")} />}
      {asking === "delete" && (
        <Confirm
          title={`Delete the plan ${one.name}?`}
          action="Delete it"
          danger
          onClose={() => setAsking("")}
          act={async () => {
            say(await remove(path));
            go(to("recovery"));
            return undefined;
          }}
        >
          <p>The records of its runs and tests stay.</p>
        </Confirm>
      )}
    </>
  );
}

function Run({ plan, onClose }: { plan: Plan; onClose: () => void }) {
  const [reason, setReason] = useState("");
  const [kind, setKind] = useState<"PLANNED" | "EMERGENCY">("EMERGENCY");
  const task = useTask(async () => {
    const execution = await post<Execution>(`/api/disaster-recovery/plans/${encodeURIComponent(plan.id)}/execute`, {
      reason: reason.trim(),
      kind,
    });
    onClose();
    go(to("recovery", "runs", execution.id));
  });
  return (
    <Dialog title={`Run ${plan.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        <Note tone="warn" title="This is the recovery itself, not a test.">
          Its steps write to what the shop uses. The clock against {duration(plan.recoveryTimeObjective * 60)} starts at once.
        </Note>
        <TextArea label="Reason" value={reason} onText={setReason} rows={2} required hint="Stands in the report." />
        <Select
          label="Kind"
          value={kind}
          options={[
            ["EMERGENCY", "Emergency: what the check beforehand finds is noted, and the run goes on"],
            ["PLANNED", "Planned: it starts only when the check beforehand finds nothing"],
          ]}
          onPick={setKind}
        />
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" kind="danger" icon="play" busy={task.busy} disabled={!reason.trim()}>
            Start the recovery
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

type Environment = "ISOLATED" | "DEVELOPMENT" | "STAGING" | "PRODUCTION";

function Test({ plan, onClose }: { plan: Plan; onClose: () => void }) {
  const [environment, setEnvironment] = useState<Environment>("ISOLATED");
  const [control, setControl] = useState(false);
  const task = useTask(async () => {
    const test = await post<TestResult>(`/api/disaster-recovery/plans/${encodeURIComponent(plan.id)}/test`, {
      environment,
      negativeControl: control,
    });
    onClose();
    go(to("recovery", "runs", test.executionId));
  });
  return (
    <Dialog title={`Test ${plan.name}`} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void task.run();
        }}
      >
        <Select<Environment>
          label="Where"
          value={environment}
          options={[
            ["ISOLATED", "Isolated: in a place of its own"],
            ["DEVELOPMENT", "Development"],
            ["STAGING", "Staging"],
            ["PRODUCTION", "Production: a rehearsal that only reads"],
          ]}
          onPick={setEnvironment}
        />
        <Check
          label="Also with a damaged copy"
          hint="The test must fail with it; one that passes proves nothing."
          checked={control}
          onCheck={setControl}
        />
        {task.error && <Problem error={task.error} />}
        <footer>
          <Button onClick={onClose}>Not now</Button>
          <Button type="submit" kind="main" icon="shield" busy={task.busy}>
            Start the test
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}
